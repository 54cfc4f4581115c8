// Names of instructions: the opcode and the modifiers that it may have. Any other word is an error that
// names the instruction, so that a kernel never runs on half of what it says.
#include <cstring>
#include "ptx.h"

namespace emulator {
namespace {

struct OpcodeRule {
  const char* name;
  Opcode opcode;
  const char* modifiers;  // allowed ones, each followed by a space
};

const OpcodeRule OPCODES[] = {
    {"abs", Opcode::abs, "ftz "},
    {"activemask", Opcode::activemask, ""},
    {"add", Opcode::add, "rn ftz "},
    {"and", Opcode::bitAnd, ""},
    {"bar", Opcode::bar, "sync "},
    {"bfe", Opcode::bfe, ""},
    {"bfi", Opcode::bfi, ""},
    {"bra", Opcode::bra, "uni "},
    {"clz", Opcode::clz, ""},
    {"copysign", Opcode::copysign, ""},
    {"cp", Opcode::cpAsync, "async ca cg shared global commit_group wait_group wait_all "},
    {"cvt", Opcode::cvt, "rn rz rni rzi rmi rpi ftz sat "},
    {"cvta", Opcode::cvta, "to global shared "},
    {"div", Opcode::div, "rn full approx ftz "},
    {"ex2", Opcode::ex2, "approx ftz "},
    {"fence", Opcode::fence, "sc acq_rel cta gpu "},
    {"fma", Opcode::fma, "rn rm rp rz ftz "},
    {"ldmatrix", Opcode::ldmatrix, "sync aligned m8n8 x1 x2 x4 trans shared "},
    {"ld", Opcode::ld, "global shared param nc v2 v4 "},
    {"lg2", Opcode::lg2, "approx ftz "},
    {"mad", Opcode::mad, "lo hi wide "},
    {"max", Opcode::max, "ftz "},
    {"membar", Opcode::fence, "cta gl "},
    {"min", Opcode::min, "ftz "},
    {"mov", Opcode::mov, ""},
    {"mul", Opcode::mul, "lo hi wide rn ftz "},
    {"neg", Opcode::neg, "ftz "},
    {"not", Opcode::bitNot, ""},
    {"or", Opcode::bitOr, ""},
    {"popc", Opcode::popc, ""},
    {"prmt", Opcode::prmt, ""},
    {"rcp", Opcode::rcp, "rn approx ftz "},
    {"rem", Opcode::rem, ""},
    {"ret", Opcode::ret, ""},
    {"exit", Opcode::ret, ""},
    {"rsqrt", Opcode::rsqrt, "approx ftz "},
    {"selp", Opcode::selp, ""},
    {"setp", Opcode::setp, "eq ne lt le gt ge lo ls hi hs equ neu ltu leu gtu geu num nan and or xor ftz "},
    {"shfl", Opcode::shfl, "sync up down bfly idx "},
    {"shl", Opcode::shl, ""},
    {"shr", Opcode::shr, ""},
    {"sqrt", Opcode::sqrt, "rn approx ftz "},
    {"st", Opcode::st, "global shared v2 v4 "},
    {"sub", Opcode::sub, "rn ftz "},
    {"trap", Opcode::trap, ""},
    {"vote", Opcode::vote, "sync ballot any all "},
    {"xor", Opcode::bitXor, ""},
};

bool isIn(const char* list, const std::string& word) {
  const std::string wanted = word + ' ';
  const char* at = std::strstr(list, wanted.c_str());
  return at && (at == list || at[-1] == ' ');
}

template <class Value>
struct Word {
  const char* word;
  Value value;
};

template <class Value, std::size_t N>
bool lookUp(const Word<Value> (&words)[N], const std::string& word, Value& value) {
  for (const auto& entry : words) {
    if (word != entry.word) continue;
    value = entry.value;
    return true;
  }
  return false;
}

const Word<Compare> COMPARES[] = {{"eq", Compare::eq},   {"ne", Compare::ne},   {"lt", Compare::lt},
                                  {"le", Compare::le},   {"gt", Compare::gt},   {"ge", Compare::ge},
                                  {"lo", Compare::lt},   {"ls", Compare::le},   {"hi", Compare::gt},
                                  {"hs", Compare::ge},   {"equ", Compare::equ}, {"neu", Compare::neu},
                                  {"ltu", Compare::ltu}, {"leu", Compare::leu}, {"gtu", Compare::gtu},
                                  {"geu", Compare::geu}, {"num", Compare::num}, {"nan", Compare::nan}};
const Word<Combine> COMBINES[] = {{"and", Combine::bitAnd}, {"or", Combine::bitOr}, {"xor", Combine::bitXor}};
const Word<Part> PARTS[] = {{"lo", Part::low}, {"hi", Part::high}, {"wide", Part::wide}};
const Word<Rounding> ROUNDINGS[] = {
    {"rn", Rounding::nearest},  {"rz", Rounding::zero},  {"rm", Rounding::down},  {"rp", Rounding::up},
    {"rni", Rounding::nearest}, {"rzi", Rounding::zero}, {"rmi", Rounding::down}, {"rpi", Rounding::up}};
const Word<Space> SPACES[] = {
    {"global", Space::global}, {"shared", Space::shared}, {"param", Space::parameter}};
const Word<Shuffle> SHUFFLES[] = {
    {"up", Shuffle::up}, {"down", Shuffle::down}, {"bfly", Shuffle::butterfly}, {"idx", Shuffle::index}};
const Word<Vote> VOTES[] = {{"ballot", Vote::ballot}, {"any", Vote::any}, {"all", Vote::all}};

void applyModifier(const std::string& word, Instruction& i) {
  if (i.opcode == Opcode::setp && lookUp(COMPARES, word, i.compare)) return;
  if (i.opcode == Opcode::setp && lookUp(COMBINES, word, i.combine)) return;
  if (i.opcode == Opcode::shfl && lookUp(SHUFFLES, word, i.shuffle)) return;
  if (i.opcode == Opcode::vote && lookUp(VOTES, word, i.vote)) return;
  if ((i.opcode == Opcode::mul || i.opcode == Opcode::mad) && lookUp(PARTS, word, i.part)) return;
  if (i.opcode == Opcode::cvta && word == "shared") i.isOfSharedSpace = true;
  if (word == "to") i.isToSpace = true;
  if (lookUp(ROUNDINGS, word, i.rounding)) i.roundsToInteger = word.size() == 3;
  lookUp(SPACES, word, i.space);
  if (word == "ftz") i.flushesSubnormals = true;
  if (word == "sat") i.saturates = true;
  if (word == "approx" || word == "full") i.isApproximate = true;
  if (word == "nc") i.isReadOnly = true;
  if (word == "v2" || word == "x2") i.elements = 2;
  if (word == "v4" || word == "x4") i.elements = 4;
  if (word == "trans") i.isTransposed = true;
  if (word == "commit_group") i.opcode = Opcode::cpCommit;
  if (word == "wait_group") i.opcode = Opcode::cpWait;
}

}  // namespace

bool parseType(const std::string& word, Type& type) {
  static const Word<Type> TYPES[] = {{"pred", {Kind::predicate, 1}},
                                     {"b8", {Kind::bits, 1}},
                                     {"b16", {Kind::bits, 2}},
                                     {"b32", {Kind::bits, 4}},
                                     {"b64", {Kind::bits, 8}},
                                     {"u8", {Kind::unsignedInteger, 1}},
                                     {"u16", {Kind::unsignedInteger, 2}},
                                     {"u32", {Kind::unsignedInteger, 4}},
                                     {"u64", {Kind::unsignedInteger, 8}},
                                     {"s8", {Kind::signedInteger, 1}},
                                     {"s16", {Kind::signedInteger, 2}},
                                     {"s32", {Kind::signedInteger, 4}},
                                     {"s64", {Kind::signedInteger, 8}},
                                     {"f16", {Kind::floating, 2}},
                                     {"f32", {Kind::floating, 4}},
                                     {"f64", {Kind::floating, 8}}};
  return lookUp(TYPES, word, type);
}

// mma: 16-bit factors, sums in float32. True where the name is one of these.
static bool decodeMma(const std::string& name, Instruction& i) {
  for (const int depth : {8, 16})
    for (const bool isHalf : {false, true}) {
      const std::string factor = isHalf ? "f16" : "bf16";
      if (name != "mma.sync.aligned.m16n8k" + std::to_string(depth) + ".row.col.f32." + factor + "." +
                      factor + ".f32")
        continue;
      i.opcode = Opcode::mma;
      i.depth = depth;
      i.hasHalfFactors = isHalf;
      return true;
    }
  return false;
}

// mma.m8n8k4: float16 factors in any layout, sums in float32.
static bool decodeQuadPairMma(const std::string& name, Instruction& i) {
  for (const bool leftIsByDepth : {false, true})
    for (const bool rightIsByDepth : {false, true}) {
      const std::string layouts =
          std::string(leftIsByDepth ? ".col" : ".row") + (rightIsByDepth ? ".row" : ".col");
      if (name != "mma.sync.aligned.m8n8k4" + layouts + ".f32.f16.f16.f32") continue;
      i.opcode = Opcode::mma;
      i.depth = 4;
      i.hasHalfFactors = true;
      i.leftIsByDepth = leftIsByDepth;
      i.rightIsByDepth = rightIsByDepth;
      return true;
    }
  return false;
}

void decodeName(const std::string& name, Instruction& i) {
  if (decodeMma(name, i) || decodeQuadPairMma(name, i)) return;
  const std::size_t end = name.find('.');
  const std::string stem = name.substr(0, end);
  const OpcodeRule* rule = nullptr;
  for (const OpcodeRule& candidate : OPCODES)
    if (stem == candidate.name) rule = &candidate;
  if (!rule) throw Report("the emulator does not know the instruction " + name);
  i.opcode = rule->opcode;
  int types = 0;
  for (std::size_t at = end; at < name.size();) {
    const std::size_t next = std::min(name.find('.', at + 1), name.size());
    const std::string word = name.substr(at + 1, next - at - 1);
    at = next;
    if (word == "warp" && i.opcode == Opcode::bar)
      i.opcode = Opcode::warpBar;
    else if (parseType(word, types == 0 ? i.type : i.sourceType))
      types++;
    else if (isIn(rule->modifiers, word))
      applyModifier(word, i);
    else
      throw Report("the emulator does not know ." + word + " of the instruction " + name);
  }
  if (name.find("wait_all") != std::string::npos) i.opcode = Opcode::cpWait;
  if (types > (i.opcode == Opcode::cvt ? 2 : 1))
    throw Report("the emulator does not know the instruction " + name);
}

}  // namespace emulator
