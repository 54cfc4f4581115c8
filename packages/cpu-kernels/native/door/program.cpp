#include "program.h"

namespace qdylora {

void Program::add(const KernelEntry& entry, const Argument* arguments) {
  calls_.push_back({&entry, arguments_.size()});
  arguments_.insert(arguments_.end(), arguments, arguments + entry.argumentCount);
}

Status Program::run(Threads& threads, std::size_t from, std::size_t to, Failure* failed) const {
  for (std::size_t i = from; i < to; i++) {
    const Call& call = calls_[i];
    double number = 0;
    const Status status = call.entry->invoke(threads, arguments_.data() + call.firstArgument, &number);
    if (status.code == Status::OK) continue;
    *failed = {call.entry, arguments_.data() + call.firstArgument};
    return status;
  }
  return ok();
}

}  // namespace qdylora
