// Times the CPU libraries for products with a 4-bit weight: OpenBLAS in float32 and oneDNN in bf16, with
// weights decoded beforehand and with decoding of the whole matrix in each call.
//
// It is a separate process: each OpenBLAS core type needs one, and a rival is frozen during the turns of
// others. It reads one command a line from standard input, and answers each with one line:
//   methods                                                           the names of the methods
//   prepare METHOD forward|backward TOKENS COLS ROWS,ROWS,… FOLDER    `ready SLOT`
//   time SLOT SAMPLES CALLS                                           seconds per call of each sample
//   clear                                                             forgets all slots
// FOLDER holds codes.u8, absmax.f32 (one scale per 64 weights) and in.f32 (x: [tokens, cols], or dy: [tokens,
// sum of rows]). The result is written to METHOD.f32 there.
//
// Activations are float32 for OpenBLAS and bf16 (input and output) for oneDNN, the fastest type of each.
// Their conversion is not timed.
#include <dlfcn.h>
#include <omp.h>

#include <cstdio>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>

#include "decode-whole.h"
#ifdef WITH_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>
#endif

namespace {

using Call = std::function<void()>;
using Floats = Buffer<float>;
using Halves = Buffer<std::uint16_t>;

// Several matrices of one width, one after another: separate weights of layers that share an input.
struct Problem {
  bool forward;
  long tokens, cols, total = 0;
  std::vector<long> rows;
  Buffer<std::uint8_t> codes;
  Floats absmax, in;
  long inWidth() const { return forward ? cols : total; }
  long outWidth() const { return forward ? total : cols; }
};

template <class T>
void readFile(const std::string& path, Buffer<T>& into) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file || std::fread(into.data, sizeof(T), into.size, file.get()) != into.size)
    throw std::runtime_error("cannot read " + path);
}

void writeFile(const std::string& path, const Floats& from) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "wb"), std::fclose);
  if (!file || std::fwrite(from.data, sizeof(float), from.size, file.get()) != from.size)
    throw std::runtime_error("cannot write " + path);
}

// A prepared method: one call of it, and its result as float32.
struct Slot {
  Call call;
  std::function<Floats()> answer;
};

struct OpenBlas {
  void* library = nullptr;
  void (*sgemm)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*,
                int) = nullptr;
  const char* core = "";

  // The OpenMP build first: it shares its threads with the decoding loop.
  OpenBlas() {
    for (const char* path : {"/usr/lib/x86_64-linux-gnu/openblas-openmp/libopenblas.so.0", "libopenblas.so.0",
                             "libopenblas.so"}) {
      if ((library = dlopen(path, RTLD_NOW | RTLD_LOCAL))) break;
    }
    if (!library) return;
    sgemm = reinterpret_cast<decltype(sgemm)>(dlsym(library, "cblas_sgemm"));
    if (auto name = reinterpret_cast<char* (*)()>(dlsym(library, "openblas_get_corename"))) core = name();
    if (auto threads = reinterpret_cast<void (*)(int)>(dlsym(library, "openblas_set_num_threads")))
      threads(omp_get_max_threads());
  }

  Slot prepare(std::shared_ptr<Problem> p, bool decodes) const {
    constexpr int ROW_MAJOR = 101;
    constexpr int PLAIN = 111;
    constexpr int TRANSPOSED = 112;
    auto weights = std::make_shared<Floats>(p->total * p->cols);
    auto out = std::make_shared<Floats>(p->tokens * p->outWidth());
    decodeWhole(p->codes, p->absmax, *weights);
    const auto multiply = sgemm;
    return {[=] {
              if (decodes) decodeWhole(p->codes, p->absmax, *weights);
              long at = 0;
              for (const long rows : p->rows) {
                const float* w = weights->data + at * p->cols;
                if (p->forward)
                  multiply(ROW_MAJOR, PLAIN, TRANSPOSED, p->tokens, rows, p->cols, 1, p->in.data, p->cols, w,
                           p->cols, 0, out->data + at, p->total);
                else
                  multiply(ROW_MAJOR, PLAIN, PLAIN, p->tokens, p->cols, rows, 1, p->in.data + at, p->total, w,
                           p->cols, at ? 1 : 0, out->data, p->cols);
                at += rows;
              }
            },
            [=] {
              Floats copy(out->size);
              std::copy(out->data, out->data + out->size, copy.data);
              return copy;
            }};
  }
};

#ifdef WITH_ONEDNN
struct OneDnn {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};

  // `packed`: the weights are in oneDNN's preferred layout, made before the timing.
  Slot prepare(std::shared_ptr<Problem> p, bool decodes, bool packed) {
    using namespace dnnl;
    using Dims = memory::dims;
    constexpr auto BF16 = memory::data_type::bf16;
    auto weights = std::make_shared<Halves>(p->total * p->cols), in = std::make_shared<Halves>(p->in.size),
         out = std::make_shared<Halves>(p->tokens * p->outWidth());
    decodeWhole(p->codes, p->absmax, *weights);
    for (std::size_t i = 0; i < in->size; i++) in->data[i] = roundedHalf(p->in.data[i]);
    std::vector<std::pair<matmul, std::unordered_map<int, memory>>> products;
    long at = 0;
    for (const long rows : p->rows) {
      const bool forward = p->forward;
      const long depth = forward ? p->cols : rows;
      const long width = forward ? rows : p->cols;
      const memory::desc from({p->tokens, depth}, BF16, Dims{p->inWidth(), 1}),
          to({p->tokens, width}, BF16, Dims{p->outWidth(), 1});
      const memory::desc plain({depth, width}, BF16, forward ? Dims{1, p->cols} : Dims{p->cols, 1}),
          any({depth, width}, BF16, memory::format_tag::any);
      primitive_attr attributes;
      if (!forward && at) {
        post_ops add;
        add.append_sum(1.0f);
        attributes.set_post_ops(add);
      }
      const matmul::primitive_desc description(engine, from, packed ? any : plain, to, attributes);
      memory w(plain, engine, weights->data + at * p->cols);
      if (packed) {
        memory own(description.weights_desc(), engine);
        reorder(w, own).execute(stream, w, own);
        stream.wait();
        w = own;
      }
      products.push_back({matmul(description),
                          {{DNNL_ARG_SRC, memory(from, engine, in->data + (forward ? 0 : at))},
                           {DNNL_ARG_WEIGHTS, w},
                           {DNNL_ARG_DST, memory(to, engine, out->data + (forward ? at : 0))}}});
      at += rows;
    }
    return {[=, this] {
              if (decodes) decodeWhole(p->codes, p->absmax, *weights);
              for (const auto& [product, arguments] : products) product.execute(stream, arguments);
              stream.wait();
              (void)in;
            },
            [=] {
              Floats answer(out->size);
              for (std::size_t i = 0; i < out->size; i++) answer.data[i] = fromHalf(out->data[i]);
              return answer;
            }};
  }
};
#endif

std::shared_ptr<Problem> readProblem(std::istream& line, std::string& folder) {
  auto p = std::make_shared<Problem>();
  std::string direction, rows;
  line >> direction >> p->tokens >> p->cols >> rows >> folder;
  p->forward = direction == "forward";
  std::istringstream list(rows);
  for (std::string one; std::getline(list, one, ',');) {
    p->rows.push_back(std::stol(one));
    p->total += p->rows.back();
  }
  p->codes = Buffer<std::uint8_t>(p->total * p->cols / 2);
  p->absmax = Floats(p->total * p->cols / 64);
  p->in = Floats(p->tokens * p->inWidth());
  readFile(folder + "/codes.u8", p->codes);
  readFile(folder + "/absmax.f32", p->absmax);
  readFile(folder + "/in.f32", p->in);
  return p;
}

}  // namespace

int main() {
  const OpenBlas openblas;
#ifdef WITH_ONEDNN
  OneDnn onednn;
#endif
  std::vector<Slot> slots;
  for (std::string text; std::getline(std::cin, text);) {
    std::istringstream line(text);
    std::string command, method, folder;
    line >> command;
    if (command == "methods") {
      if (openblas.sgemm)
        std::cout << "openblas(" << openblas.core << ") decode+openblas(" << openblas.core << ") ";
#ifdef WITH_ONEDNN
      std::cout << "onednn onednn-packed decode+onednn";
#endif
    } else if (command == "prepare") {
      line >> method;
      try {
        auto problem = readProblem(line, folder);
        if (method.find("openblas") != std::string::npos)
          slots.push_back(openblas.prepare(problem, method.find("decode+") == 0));
#ifdef WITH_ONEDNN
        else
          slots.push_back(onednn.prepare(problem, method.find("decode+") == 0, method == "onednn-packed"));
#endif
        slots.back().call();
        writeFile(folder + "/" + method + ".f32", slots.back().answer());
        std::cout << "ready " << slots.size() - 1;
      } catch (const std::exception& error) {
        std::cout << "failed " << error.what();
      }
    } else if (command == "time") {
      std::size_t slot, samples, calls;
      line >> slot >> samples >> calls;
      slots[slot].call();
      for (std::size_t s = 0; s < samples; s++) {
        const double start = omp_get_wtime();
        for (std::size_t i = 0; i < calls; i++) slots[slot].call();
        std::cout << (omp_get_wtime() - start) / static_cast<double>(calls) << ' ';
      }
    } else if (command == "clear")
      slots.clear();
    std::cout << std::endl;
  }
}
