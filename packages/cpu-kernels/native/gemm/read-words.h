#pragma once
#include "columns.h"

// Elements of B as packed words, on the way into a panel or straight into a sum.
namespace qdylora::QD_LEVEL {

// Steps of the depth in one word, and in a vector of words along the depth.
template <Form FORM>
constexpr Size STEP = FORM == Form::pairs ? 2 : 1;
template <Form FORM>
constexpr Size STEPS = STEP<FORM> * WIDTH;

// One word per lane, from a step of the depth and the one after it (0 where there is none).
template <Form FORM>
QD_INLINE F32x wordOf(F32x v, F32x next) {
  return FORM == Form::pairs ? asF32(zipToBf16(v, next)) : FORM == Form::rounded ? roundToBf16(v) : v;
}

// Lanes of the row at p and, in pairs, of the row `stride` further (not where p's is the `last`).
template <Form FORM, class T>
QD_INLINE F32x wordsAcross(const T* p, Size stride, int lanes, bool last) {
  return wordOf<FORM>(loadFirst(p, lanes),
                      FORM == Form::pairs && !last ? loadFirst(p + stride, lanes) : F32x{});
}

// The words of `count` ≤ STEPS consecutive numbers at p; the rest 0.
template <Form FORM, class T>
QD_INLINE I32x wordsAlong(const T* p, Size count) {
  const int low = static_cast<int>(smaller<Size>(WIDTH, count));
  const int high = static_cast<int>(count) - low;
  if constexpr (FORM != Form::pairs)
    return asI32(wordOf<FORM>(loadFirst(p, low), F32x{}));
  else if (sizeof(T) == 2 && high == WIDTH)
    return loadI32(p);  // these are pairs already
  else
    return pairsToBf16(loadFirst(p, low), high > 0 ? loadFirst(p + WIDTH, high) : F32x{});
}

// Calls body(FormTag<form>) with the form known at compile time; pairs only where the level has them.
template <Form FORM>
struct FormTag {
  static constexpr Form value = FORM;
};
template <class Body>
QD_INLINE void withForm(Form form, const Body& body) {
  if constexpr (BF16_PAIRS)
    if (form == Form::pairs) return body(FormTag<Form::pairs>{});
  if (form == Form::rounded)
    body(FormTag<Form::rounded>{});
  else
    body(FormTag<Form::plain>{});
}

}  // namespace qdylora::QD_LEVEL
