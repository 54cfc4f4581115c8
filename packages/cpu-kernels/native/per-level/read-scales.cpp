// Computes: the scales of a 4-bit matrix for a panel of rows, with double quantization undone:
//   fl(fl(map[code] · nested) + offset), rounded as in the reference.
// Owners: the caller's thread owns the output. A lane is a row. The codes of a tile are side by side, those
//   of a row-major matrix a row's length apart.
// Cost: for 32 scales (2,048 weights) 18 byte operations look the codes up in the four byte planes of the map
//   (AVX-512 VBMI), and 12 find the nested scales. The planes themselves cost 130 instructions, so a reader
//   serves many reads.
// Assumes: runs (hasRuns).
// Dropped: one look-up after another (a third of the time of the backward decode, Zen 4, 2026); decoding all
//   scales at load (0.44 bits more per weight to keep and to read).
#include "../gemm/nf4-runs.h"

namespace qdylora::QD_LEVEL {
namespace {

// Without double quantization, or with other blocks than runs.
void readOneByOne(const Nf4Weight& w, Size row0, Size rows, Size run0, Size count, float (*out)[PANEL]) {
  for (Size i = 0; i < count; i++) {
    for (Size r = 0; r < PANEL; r++) out[i][r] = r < rows ? w.scale(row0 + r, run0 + i) : 0.f;
  }
}

#if defined(__AVX512VBMI__) && QD_WIDTH == 16
QD_INLINE void fillPlanes(const float* map, std::uint8_t (&planes)[4][256]) {
  for (Size i = 0; i < 256; i += 16) {
    const __m512i entries = _mm512_loadu_si512(map + i);
#pragma GCC unroll 4
    for (int plane = 0; plane < 4; plane++)
      _mm_store_si128(reinterpret_cast<__m128i*>(planes[plane] + i),
                      _mm512_cvtepi32_epi8(_mm512_srli_epi32(entries, 8 * plane)));
  }
}

QD_INLINE __m512i bytesAt(const std::uint8_t* plane, __m512i codes, __mmask64 upper) {
  const __m512i* at = reinterpret_cast<const __m512i*>(plane);
  return _mm512_mask_blend_epi8(upper, _mm512_permutex2var_epi8(at[0], codes, at[1]),
                                _mm512_permutex2var_epi8(at[2], codes, at[3]));
}

// The entries of 32 codes. Bytes are interleaved within quarters of a register, so each quarter takes 4 codes
// of either half.
QD_INLINE void entriesOf(const Nf4Weight&, const std::uint8_t (&planes)[4][256], const std::uint8_t* codes,
                         F32x& low, F32x& high) {
  const __m512i quarters = _mm512_setr_epi32(0, 4, 0, 4, 1, 5, 1, 5, 2, 6, 2, 6, 3, 7, 3, 7);
  const __m512i spread = _mm512_permutexvar_epi32(
      quarters, _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes))));
  const __mmask64 upper = _mm512_movepi8_mask(spread);
  const __m512i first =
      _mm512_unpacklo_epi8(bytesAt(planes[0], spread, upper), bytesAt(planes[1], spread, upper));
  const __m512i second =
      _mm512_unpacklo_epi8(bytesAt(planes[2], spread, upper), bytesAt(planes[3], spread, upper));
  low = (F32x)_mm512_unpacklo_epi16(first, second);
  high = (F32x)_mm512_unpackhi_epi16(first, second);
}

// The nested scales of 16 rows. Consecutive rows mostly share a few neighbouring ones: then 16 of them in one
// register serve all rows.
QD_INLINE F32x nestedOf(const Nf4Weight& w, Size row0, Size run) {
  const Size first = w.block(row0, run) / NESTED_BLOCK;
  const Size all = divideUp(w.rows * w.rowRuns(), NESTED_BLOCK);
  const std::int32_t within = static_cast<std::int32_t>(w.block(row0, run) % NESTED_BLOCK);
  const std::int32_t step = static_cast<std::int32_t>(w.rowRuns());
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i index = _mm512_srli_epi32(
      _mm512_add_epi32(_mm512_set1_epi32(within), _mm512_mullo_epi32(lanes, _mm512_set1_epi32(step))), 8);
  const Size left = all - first;
  if (w.rowRuns() < NESTED_BLOCK)
    return (F32x)_mm512_permutexvar_ps(index,
                                       _mm512_maskz_loadu_ps(firstLanes(left), w.nestedAbsmax + first));
  return (F32x)_mm512_i32gather_ps(_mm512_min_epi32(index, _mm512_set1_epi32(static_cast<int>(left - 1))),
                                   w.nestedAbsmax + first, 4);
}
#else
QD_INLINE void fillPlanes(const float*, std::uint8_t (&)[4][256]) {}

QD_INLINE void entriesOf(const Nf4Weight& w, const std::uint8_t (&)[4][256], const std::uint8_t* codes,
                         F32x& low, F32x& high) {
  float read[PANEL];
  for (Size r = 0; r < PANEL; r++) read[r] = w.nestedMap[codes[r]];
  low = load(read);
  high = load(read + WIDTH);
}

QD_INLINE F32x nestedOf(const Nf4Weight& w, Size row0, Size run) {
  float read[WIDTH];
  for (Size r = 0; r < WIDTH; r++)
    read[r] = w.nestedAbsmax[w.block(smaller(row0 + r, w.rows - 1), run) / NESTED_BLOCK];
  return load(read);
}
#endif

}  // namespace

ScaleReader::ScaleReader(const Nf4Weight& weight) : w(weight) {
  if (!w.absmax && w.blockSize == RUN) fillPlanes(w.nestedMap, planes);
}

void ScaleReader::read(Size row0, Size rows, Size run0, Size count, float (*out)[PANEL]) const {
  const Size step = w.tiled ? 1 : w.rowRuns();
  alignas(64) std::uint8_t copied[PANEL] = {};
  if (w.absmax || w.blockSize != RUN) return readOneByOne(w, row0, rows, run0, count, out);
  for (Size i = 0; i < count; i++) {
    const std::uint8_t* codes = w.absmaxCodes + w.scalePlace(row0, run0 + i);
    if (!w.tiled || rows < PANEL) {
      for (Size r = 0; r < rows; r++) copied[r] = codes[r * step];
      codes = copied;
    }
    F32x low, high;
    entriesOf(w, planes, codes, low, high);
    store(out[i], low * nestedOf(w, row0, run0 + i) + w.nestedOffset);
    if (rows > WIDTH) store(out[i] + WIDTH, high * nestedOf(w, row0 + WIDTH, run0 + i) + w.nestedOffset);
    for (Size r = rows; r < PANEL; r++) out[i][r] = 0;
  }
}

}  // namespace qdylora::QD_LEVEL
