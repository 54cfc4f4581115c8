// Work on a thread of libuv's pool that settles a promise of JavaScript.
#pragma once
#include <node_api.h>

#include <cstddef>
#include <cstdlib>

namespace qdylora {

class Task {
 public:
  virtual ~Task() = default;
  /** On the pool. */
  virtual void run() {}
  /** On the thread of JavaScript, after `run`: the error that it ended with, or null. */
  virtual napi_value error(napi_env) { return nullptr; }

  // libstdc++'s own would bring an unwinder, which needs glibc 2.35
  static void* operator new(std::size_t bytes) {
    void* memory = std::malloc(bytes);
    if (memory == nullptr) std::abort();
    return memory;
  }
  static void operator delete(void* memory) { std::free(memory); }

  /** Keeps an array alive until the task has ended. */
  void keep(napi_env env, napi_value array) { napi_create_reference(env, array, 1, &arrays_[kept_++]); }

  /** Starts it, and returns its promise. The task deletes itself. */
  napi_value start(napi_env env) {
    napi_value promise;
    napi_value name;
    napi_create_promise(env, &promise_, &promise);
    napi_create_string_utf8(env, "qdylora.collective", NAPI_AUTO_LENGTH, &name);
    napi_create_async_work(
        env, nullptr, name, [](napi_env, void* task) { static_cast<Task*>(task)->run(); },
        [](napi_env env, napi_status, void* task) { static_cast<Task*>(task)->settle(env); }, this, &work_);
    napi_queue_async_work(env, work_);
    return promise;
  }

 private:
  void settle(napi_env env) {
    napi_value nothing;
    if (napi_value failure = error(env)) {
      napi_reject_deferred(env, promise_, failure);
    } else {
      napi_get_undefined(env, &nothing);
      napi_resolve_deferred(env, promise_, nothing);
    }
    for (int i = 0; i < kept_; i++) napi_delete_reference(env, arrays_[i]);
    napi_delete_async_work(env, work_);
    delete this;
  }

  napi_async_work work_ = nullptr;
  napi_deferred promise_ = nullptr;
  napi_ref arrays_[2] = {nullptr, nullptr};
  int kept_ = 0;
};

inline napi_value throwError(napi_env env, const char* message) {
  napi_throw_error(env, nullptr, message);
  return nullptr;
}

inline napi_value createError(napi_env env, const char* message) {
  napi_value text;
  napi_value error;
  napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text);
  napi_create_error(env, nullptr, text, &error);
  return error;
}

inline void setNumber(napi_env env, napi_value object, const char* name, int value) {
  napi_value number;
  napi_create_int32(env, value, &number);
  napi_set_named_property(env, object, name, number);
}

inline void setText(napi_env env, napi_value object, const char* name, const char* value) {
  napi_value text;
  napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &text);
  napi_set_named_property(env, object, name, text);
}

struct Member {
  const char* name;
  napi_callback function;
};

template <std::size_t count>
napi_value exportMembers(napi_env env, napi_value exports, const Member (&members)[count]) {
  for (const Member& member : members) {
    napi_value function;
    napi_create_function(env, member.name, NAPI_AUTO_LENGTH, member.function, nullptr, &function);
    napi_set_named_property(env, exports, member.name, function);
  }
  return exports;
}

}  // namespace qdylora
