#pragma once
#include "product.h"

// The depth of a job, cut into blocks whose packed panels fit a thread's room.
namespace qdylora::QD_LEVEL {

// A part of one term's depth: steps [k, k + depth).
struct Part {
  const Placed* placed;
  Size k, depth;
};

// The depths of a job's terms follow one another and are cut into blocks of nearly equal length. A block may
// hold parts of several terms. A cut inside a term is at a multiple of 64 steps, the usual quantization
// block. The cuts depend on the terms alone, and so does the order of every sum.
//
// The cuts of a weight do not depend on an adapter that follows it: it fills the weight's last block and goes
// on in blocks of its own. So a row has the same bits beside rows of any rank. (Any job of two terms is cut
// so.)
class DepthBlocks {
 public:
  QD_INLINE DepthBlocks(const Job& job, int firstTerm) : job_(job), term_(firstTerm) {
    for (int i = firstTerm; i < job.count; i++)
      wordsLeft_ += wordsOf(job.terms[i].term.depth, job.terms[i].term.pairs());
    const Term& weight = job.terms[firstTerm].term;
    mostWords_ = mostWords(weight.pairs());
    evenLeft_ = job.count == WEIGHT_AND_ADAPTER ? wordsOf(weight.depth, weight.pairs()) : wordsLeft_;
    const Size blocks = larger(divideUp(evenLeft_, mostWords_), Size{1});
    evenWords_ = divideUp(evenLeft_, blocks);
  }

  // Writes the next block's parts and returns their number; 0 where no block is left.
  QD_INLINE int next(Part (&parts)[MOST_TERMS]) {
    Size target = evenLeft_ == 0 ? mostWords_ : evenLeft_ <= mostWords_ ? evenLeft_ : evenWords_;
    int count = 0;
    Size words = 0;
    while (term_ < job_.count && words < target) {
      const Placed& placed = job_.terms[term_];
      const bool pairs = placed.term.pairs();
      const Size stepsLeft = placed.term.depth - k_;
      Size wanted = target - words;
      Size room = mostWords_ - words;
      // whole CUTs, so that a step of an adapter is in the same block at every rank
      if (count > 0 && evenLeft_ == 0) wanted = room = room / wordsOf(CUT, pairs) * wordsOf(CUT, pairs);
      const Size depth = cut(stepsLeft, pairs, wanted, room);
      if (depth == 0 && stepsLeft > 0) break;
      if (depth > 0) parts[count++] = {&placed, k_, depth};
      words += wordsOf(depth, pairs);
      wordsLeft_ -= wordsOf(depth, pairs);
      if (evenLeft_ > 0 && (evenLeft_ -= wordsOf(depth, pairs)) == 0) target = mostWords_;
      k_ += depth;
      if (k_ == placed.term.depth) {
        term_++;
        k_ = 0;
      }
    }
    return count;
  }

  // True once the last block has been returned.
  QD_INLINE bool isAtEnd() const { return wordsLeft_ == 0; }

 private:
  static constexpr Size CUT = 64;
  static constexpr int WEIGHT_AND_ADAPTER = 2;

  // How many of `stepsLeft` steps go into a block that still wants `target` words and has room for `most`.
  static QD_INLINE Size cut(Size stepsLeft, bool pairs, Size target, Size most) {
    const Size stepsOfWord = pairs ? 2 : 1;
    Size depth = stepsLeft;
    if (wordsOf(depth, pairs) > target) depth = roundUp(target * stepsOfWord, CUT);
    if (wordsOf(depth, pairs) > most) depth = most * stepsOfWord / CUT * CUT;
    return smaller(depth, stepsLeft);
  }

  const Job& job_;
  int term_;            // the term that the next block begins in
  Size k_ = 0;          // and the step of its depth
  Size wordsLeft_ = 0;  // of all terms
  Size evenLeft_ = 0;   // of what is cut evenly: the weight, or all of more than two terms
  Size mostWords_;      // that a block may hold
  Size evenWords_;      // of a block, if all are equally long
};

}  // namespace qdylora::QD_LEVEL
