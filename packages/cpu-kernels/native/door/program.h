#pragma once
#include <memory>
#include <vector>

#include "../kernel.h"

namespace qdylora {

// Calls of kernels with their arguments, as the door checked them once. Whoever replays them keeps the arrays
// where they were.
class Program {
 public:
  void add(const KernelEntry& entry, const Argument* arguments);
  std::size_t calls() const { return calls_.size(); }
  // Runs the calls [from, to). The first that fails ends it: `failed` is then that call, with its arguments.
  struct Failure {
    const KernelEntry* entry;
    const Argument* arguments;
  };
  Status run(Threads& threads, std::size_t from, std::size_t to, Failure* failed) const;

 private:
  struct Call {
    const KernelEntry* entry;
    std::size_t firstArgument;
  };
  std::vector<Call> calls_;
  std::vector<Argument> arguments_;
};

}  // namespace qdylora
