// A PTX module as the emulator runs it. Registers, special registers and constants of a kernel share one file
// of 64-bit words, so that every operand of an instruction is an index.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace emulator {

enum class Kind : std::uint8_t { bits, unsignedInteger, signedInteger, floating, predicate };

struct Type {
  Kind kind = Kind::bits;
  std::uint8_t bytes = 4;
  bool isFloat() const { return kind == Kind::floating; }
  bool isSigned() const { return kind == Kind::signedInteger; }
};

enum class Opcode : std::uint8_t {
  // Values: operands in, one result out (arithmetic.cpp).
  abs,
  add,
  bitAnd,
  bfe,
  bfi,
  clz,
  copysign,
  cvt,
  cvta,
  div,
  ex2,
  fma,
  lg2,
  mad,
  max,
  min,
  mov,
  mul,
  neg,
  bitNot,
  bitOr,
  popc,
  prmt,
  rcp,
  rem,
  rsqrt,
  selp,
  setp,
  shl,
  shr,
  sqrt,
  sub,
  bitXor,
  // Memory and control of one thread (block.cpp).
  activemask,
  bra,
  cpAsync,
  cpCommit,
  cpWait,
  fence,
  ld,
  ret,
  st,
  trap,
  // Threads together (block.cpp, warp.cpp, matrix.cpp).
  bar,
  ldmatrix,
  mma,
  shfl,
  vote,
  warpBar,
};

enum class Compare : std::uint8_t { eq, ne, lt, le, gt, ge, equ, neu, ltu, leu, gtu, geu, num, nan };
enum class Combine : std::uint8_t { none, bitAnd, bitOr, bitXor };
enum class Part : std::uint8_t { low, high, wide };  // of a product of integers
enum class Rounding : std::uint8_t { nearest, zero, down, up };
enum class Space : std::uint8_t { global, shared, parameter };
enum class Shuffle : std::uint8_t { up, down, butterfly, index };
enum class Vote : std::uint8_t { ballot, any, all };

constexpr int MOST_ELEMENTS = 8;  // of a vector operand: sums of mma.m8n8k4
constexpr int MOST_OPERANDS = 5;  // of an instruction of the first group
constexpr int MOST_SOURCES = 12;  // mma.m8n8k4: two, two and eight registers

struct Instruction {
  Opcode opcode = Opcode::trap;
  Type type;        // of the result and the operands; of a conversion: of the result
  Type sourceType;  // of a conversion
  Compare compare = Compare::eq;
  Combine combine = Combine::none;
  Part part = Part::low;
  Rounding rounding = Rounding::nearest;
  Space space = Space::global;
  Shuffle shuffle = Shuffle::index;
  Vote vote = Vote::ballot;
  bool roundsToInteger = false;
  bool flushesSubnormals = false;
  bool saturates = false;
  bool isApproximate = false;
  bool isReadOnly = false;       // ld.global.nc
  bool isOfSharedSpace = false;  // cvta.shared, cvta.to.shared
  bool isToSpace = false;        // cvta.to: from a generic address
  bool negatesLast = false;      // the last source is a negated predicate
  bool isTransposed = false;     // ldmatrix.trans
  bool hasHalfFactors = false;   // mma: f16, not bf16
  bool leftIsByDepth = false;    // mma.m8n8k4: the layout of the left factor is .col
  bool rightIsByDepth = false;   // mma.m8n8k4: the layout of the right factor is .row
  int depth = 0;                 // of mma: terms of a sum
  int elements = 1;              // of a vector load or store; matrices of ldmatrix
  int destinations[MOST_ELEMENTS] = {};
  int destinationCount = 0;
  int sources[MOST_SOURCES] = {};
  int sourceCount = 0;
  int address[2] = {-1, -1};  // base register of each memory operand
  std::int64_t offset[2] = {};
  int guard = -1;
  bool guardIsNegated = false;
  int target = -1;
  int branch = -1;  // of a conditional branch: its place among those of the kernel
  std::string text;
};

struct Parameter {
  Type type;
  bool isPointer = false;
  std::size_t offset = 0;
};

enum Special {
  TID_X,
  TID_Y,
  TID_Z,
  NTID_X,
  NTID_Y,
  NTID_Z,
  CTAID_X,
  CTAID_Y,
  CTAID_Z,
  NCTAID_X,
  NCTAID_Y,
  NCTAID_Z,
  LANE,
  SPECIAL_COUNT
};

struct Kernel {
  std::string name;
  std::vector<Instruction> code;
  std::vector<Parameter> parameters;
  std::size_t parameterBytes = 0;
  std::size_t sharedBytes = 0;
  int branches = 0;  // conditional ones
  // The file: special registers, then `registers` named ones, then constants from firstConstant on.
  std::vector<std::uint64_t> constants;
  int firstConstant = 0;
  int fileSize() const { return firstConstant + static_cast<int>(constants.size()); }
};

struct Module {
  std::vector<Kernel> kernels;
};

// What is wrong with a module or with what a kernel does; the message is for the author of the kernel.
struct Report : std::runtime_error {
  using std::runtime_error::runtime_error;
};

Module parseModule(const std::string& text);

// Sets all of an instruction that follows from its name (`mul.wide.u32`).
void decodeName(const std::string& name, Instruction& instruction);
bool parseType(const std::string& word, Type& type);

// Where generic addresses of shared memory begin.
constexpr std::uint64_t SHARED_WINDOW = 1ull << 60;

// The result of an instruction of the first group, from its operands. `approximation`: steps in the last
// place by which approximate functions are off, −1 to 1.
std::uint64_t evaluate(const Instruction& instruction, const std::uint64_t (&operands)[MOST_OPERANDS],
                       int approximation);
std::uint64_t truncated(std::uint64_t value, int bytes);

}  // namespace emulator
