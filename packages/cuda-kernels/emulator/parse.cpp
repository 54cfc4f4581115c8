// PTX text to instructions. Statements are split at `;`, labels at `:`; scopes in braces rename registers,
// which NVRTC uses for inline assembly.
#include <cctype>
#include <cstdlib>
#include <map>
#include "ptx.h"

namespace emulator {
namespace {

using Names = std::map<std::string, int>;

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::string withoutComments(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); i++) {
    if (text.compare(i, 2, "//") == 0) i = std::min(text.find('\n', i), text.size());
    if (text.compare(i, 2, "/*") == 0) {
      i = std::min(text.find("*/", i), text.size()) + 1;
      continue;
    }
    if (i < text.size()) result += text[i] == '\t' || text[i] == '\r' ? ' ' : text[i];
  }
  return result;
}

// Splits at commas outside brackets and braces.
std::vector<std::string> splitList(const std::string& text) {
  std::vector<std::string> parts;
  std::string part;
  int depth = 0;
  for (const char c : text) {
    if (c == '{' || c == '[') depth++;
    if (c == '}' || c == ']') depth--;
    if (c == ',' && depth == 0) {
      parts.push_back(trimmed(part));
      part.clear();
    } else {
      part += c;
    }
  }
  if (!trimmed(part).empty()) parts.push_back(trimmed(part));
  return parts;
}

std::vector<std::string> splitWords(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (!std::isspace(static_cast<unsigned char>(c)))
      words.back() += c;
    else if (!words.back().empty())
      words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

struct Declaration {
  std::string name;
  Type type;
  std::size_t align = 1;
  std::size_t bytes = 0;
  bool isPointer = false;
};

// `.shared .align 4 .b8 name[32]`, `.param .u64 .ptr .align 1 name`
Declaration parseDeclaration(const std::string& text) {
  Declaration declaration;
  std::size_t count = 1;
  const std::vector<std::string> words = splitWords(text);
  for (std::size_t i = 0; i < words.size(); i++) {
    if (words[i] == ".align")
      declaration.align =
          std::max<std::size_t>(declaration.align, std::strtoul(words[++i].c_str(), nullptr, 10));
    else if (words[i] == ".ptr")
      declaration.isPointer = true;
    else if (words[i][0] == '.')
      parseType(words[i].substr(1), declaration.type);
    else
      declaration.name = words[i];
  }
  const std::size_t bracket = declaration.name.find('[');
  if (bracket != std::string::npos) {
    count = std::strtoul(declaration.name.c_str() + bracket + 1, nullptr, 10);
    declaration.name.resize(bracket);
  }
  declaration.bytes = count * declaration.type.bytes;
  if (!declaration.isPointer)
    declaration.align = std::max<std::size_t>(declaration.align, declaration.type.bytes);
  return declaration;
}

std::size_t place(std::size_t& end, std::size_t bytes, std::size_t align) {
  const std::size_t at = (end + align - 1) / align * align;
  end = at + bytes;
  return at;
}

const char* const SPECIALS[SPECIAL_COUNT] = {"%tid.x",    "%tid.y",    "%tid.z",   "%ntid.x",  "%ntid.y",
                                             "%ntid.z",   "%ctaid.x",  "%ctaid.y", "%ctaid.z", "%nctaid.x",
                                             "%nctaid.y", "%nctaid.z", "%laneid"};

class KernelParser {
 public:
  KernelParser(Kernel& kernel, const Names& sharedNames) : kernel(kernel), variables(sharedNames) {}

  void declareParameters(const std::string& list) {
    for (const std::string& part : splitList(list)) {
      Declaration parameter = parseDeclaration(part);
      const std::size_t offset = place(kernel.parameterBytes, parameter.bytes, parameter.type.bytes);
      variables[parameter.name] = static_cast<int>(offset);
      kernel.parameters.push_back({parameter.type, parameter.isPointer, offset});
    }
  }

  // The text between the braces of the kernel.
  void parseBody(const std::string& body) {
    std::string statement;
    for (std::size_t i = 0; i < body.size(); i++) {
      const char c = body[i];
      const std::string text = trimmed(statement);
      if (text.empty() && (c == '{' || c == '}')) {
        if (c == '{')
          scopes.emplace_back();
        else
          scopes.pop_back();
        statement.clear();
      } else if (c == ':' && !text.empty() && text.find(' ') == std::string::npos) {
        labels[text] = static_cast<int>(kernel.code.size());
        statement.clear();
      } else if (c == ';') {
        if (!text.empty()) parseStatement(text);
        statement.clear();
      } else {
        statement += c == '\n' ? ' ' : c;
      }
    }
    finish();
  }

 private:
  Kernel& kernel;
  Names variables;
  std::vector<Names> scopes = std::vector<Names>(1);
  Names labels;
  int registers = SPECIAL_COUNT;
  std::map<std::uint64_t, int> constants;  // value → −1 − its index, until the number of registers is known

  void parseStatement(const std::string& text) {
    if (text.rfind(".reg ", 0) == 0) return declareRegisters(text);
    if (text.rfind(".shared ", 0) == 0) {
      const Declaration variable = parseDeclaration(text);
      variables[variable.name] = static_cast<int>(place(kernel.sharedBytes, variable.bytes, variable.align));
      return;
    }
    if (text.rfind(".pragma", 0) == 0 || text.rfind(".loc", 0) == 0) return;
    if (text[0] == '.')
      throw Report(kernel.name + ": the emulator does not know the declaration `" + text + "`");
    parseInstruction(text);
  }

  // `.reg .b32 %r<48>` or `.reg .b16 a, b`
  void declareRegisters(const std::string& text) {
    const std::size_t list = text.find(' ', 5);
    for (const std::string& name : splitList(text.substr(list))) {
      const std::size_t bracket = name.find('<');
      if (bracket == std::string::npos) {
        scopes.back()[name] = registers++;
        continue;
      }
      const int count = std::atoi(name.c_str() + bracket + 1);
      for (int i = 0; i < count; i++)
        scopes.back()[name.substr(0, bracket) + std::to_string(i)] = registers++;
    }
  }

  void parseInstruction(std::string text) {
    Instruction i;
    i.text = text;
    if (text[0] == '@') {
      const std::size_t space = text.find(' ');
      i.guardIsNegated = text[1] == '!';
      const std::string name = text.substr(i.guardIsNegated ? 2 : 1, space - (i.guardIsNegated ? 2 : 1));
      i.guard = registerOf(name);
      if (i.guard < 0) throw unknownName(name, i);
      text = trimmed(text.substr(space));
    }
    const std::size_t space = std::min(text.find(' '), text.size());
    try {
      decodeName(text.substr(0, space), i);
    } catch (const Report& report) {
      throw Report(kernel.name + ": " + report.what() + ", in `" + i.text + "`");
    }
    const std::vector<std::string> operands = splitList(text.substr(space));
    if (i.opcode == Opcode::bra)
      i.target = labelIndex(operands.at(0));
    else
      parseOperands(operands, i);
    if (i.opcode == Opcode::bra && i.guard >= 0) i.branch = kernel.branches++;
    kernel.code.push_back(i);
  }

  std::vector<std::string> branchLabels;

  int labelIndex(const std::string& label) {
    branchLabels.push_back(label);
    return static_cast<int>(branchLabels.size()) - 1;
  }

  void parseOperands(const std::vector<std::string>& operands, Instruction& i) {
    const bool hasResult = i.opcode != Opcode::st && i.opcode != Opcode::bar && i.opcode != Opcode::warpBar &&
                           i.opcode != Opcode::cpAsync && i.opcode != Opcode::cpWait;
    int addresses = 0;
    for (std::size_t k = 0; k < operands.size(); k++) {
      const std::string& text = operands[k];
      if (text[0] == '[') {
        if (addresses == 2) throw Report(kernel.name + ": too many addresses in `" + i.text + "`");
        parseAddress(trimmed(text.substr(1, text.size() - 2)), i, addresses++);
        continue;
      }
      const bool isResult = k == 0 && hasResult;
      for (const std::string& element : elementsOf(text, isResult)) addOperand(element, i, isResult);
    }
  }

  // The registers of `{a, b}` and of the pair `a|b` of a result.
  static std::vector<std::string> elementsOf(const std::string& text, bool isResult) {
    if (text[0] == '{') return splitList(text.substr(1, text.size() - 2));
    const std::size_t bar = isResult ? text.find('|') : std::string::npos;
    if (bar == std::string::npos) return {text};
    return {trimmed(text.substr(0, bar)), trimmed(text.substr(bar + 1))};
  }

  void addOperand(std::string text, Instruction& i, bool isResult) {
    if (isResult) {
      if (i.destinationCount == MOST_ELEMENTS)
        throw Report(kernel.name + ": too many results in `" + i.text + "`");
      const int index = text == "_" ? registers++ : registerOf(text);
      if (index < 0) throw unknownName(text, i);
      i.destinations[i.destinationCount++] = index;
      return;
    }
    if (i.sourceCount == MOST_SOURCES) throw Report(kernel.name + ": too many operands in `" + i.text + "`");
    if (text[0] == '!') {
      i.negatesLast = true;
      text = text.substr(1);
    }
    i.sources[i.sourceCount++] = operandOf(text, i);
  }

  void parseAddress(const std::string& text, Instruction& i, int which) {
    const std::size_t sign = text.find_first_of("+-", 1);
    i.address[which] = operandOf(trimmed(text.substr(0, sign)), i);
    if (sign == std::string::npos) return;
    const std::size_t digits = text[sign] == '+' ? sign + 1 : sign;
    i.offset[which] = std::strtoll(text.c_str() + digits, nullptr, 0);
  }

  int registerOf(const std::string& name) const {
    for (std::size_t k = scopes.size(); k-- > 0;) {
      const auto found = scopes[k].find(name);
      if (found != scopes[k].end()) return found->second;
    }
    return -1;
  }

  // The index of a register, or the provisional index of a constant.
  int operandOf(const std::string& text, const Instruction& i) {
    const int index = registerOf(text);
    if (index >= 0) return index;
    for (int special = 0; special < SPECIAL_COUNT; special++)
      if (text == SPECIALS[special]) return special;
    const bool isFloat =
        text[0] == '0' && (text[1] == 'f' || text[1] == 'F' || text[1] == 'd' || text[1] == 'D');
    if (isFloat) return constant(std::strtoull(text.c_str() + 2, nullptr, 16));
    if (text[0] == '-') return constant(static_cast<std::uint64_t>(std::strtoll(text.c_str(), nullptr, 0)));
    if (std::isdigit(static_cast<unsigned char>(text[0])))
      return constant(std::strtoull(text.c_str(), nullptr, 0));
    const auto variable = variables.find(text);
    if (variable == variables.end()) throw unknownName(text, i);
    return constant(static_cast<std::uint64_t>(variable->second));
  }

  int constant(std::uint64_t value) {
    const auto found = constants.find(value);
    if (found != constants.end()) return found->second;
    kernel.constants.push_back(value);
    return constants[value] = -1 - static_cast<int>(kernel.constants.size() - 1);
  }

  Report unknownName(const std::string& name, const Instruction& i) const {
    return Report(kernel.name + ": the emulator does not know the name " + name + ", in `" + i.text + "`");
  }

  // Constants follow the registers; branches get the index of their instruction.
  void finish() {
    Instruction end;
    end.opcode = Opcode::ret;
    end.text = "ret";
    kernel.code.push_back(end);
    kernel.firstConstant = registers;
    const auto resolve = [&](int& index) {
      if (index < 0) index = registers - 1 - index;
    };
    for (Instruction& i : kernel.code) {
      for (int k = 0; k < i.sourceCount; k++) resolve(i.sources[k]);
      for (int k = 0; k < 2; k++)
        if (i.address[k] != -1 || usesAddress(i, k)) resolve(i.address[k]);
      if (i.opcode != Opcode::bra) continue;
      const auto label = labels.find(branchLabels[static_cast<std::size_t>(i.target)]);
      if (label == labels.end()) throw Report(kernel.name + ": no label for `" + i.text + "`");
      i.target = label->second;
    }
  }

  static bool usesAddress(const Instruction& i, int which) {
    if (i.opcode == Opcode::cpAsync) return true;
    return which == 0 && (i.opcode == Opcode::ld || i.opcode == Opcode::st || i.opcode == Opcode::ldmatrix);
  }
};

}  // namespace

Module parseModule(const std::string& source) {
  const std::string text = withoutComments(source);
  Module module;
  Names shared;
  std::size_t sharedBytes = 0;
  for (std::size_t at = 0;;) {
    const std::size_t end = text.find_first_of(";(", at);
    if (end == std::string::npos) break;
    const std::string head = text.substr(at, end - at);
    const std::size_t entry = head.find(".entry");
    if (entry == std::string::npos) {
      const std::size_t variable = head.find(".shared ");
      if (variable != std::string::npos) {
        const Declaration declaration = parseDeclaration(head.substr(variable));
        shared[declaration.name] = static_cast<int>(place(sharedBytes, declaration.bytes, declaration.align));
      }
      at = text[end] == ';' ? end + 1 : text.find(';', end) + 1;
      continue;
    }
    Kernel kernel;
    kernel.name = trimmed(head.substr(entry + 6));
    kernel.sharedBytes = sharedBytes;
    KernelParser parser(kernel, shared);
    const std::size_t close = text.find(')', end);
    parser.declareParameters(text.substr(end + 1, close - end - 1));
    const std::size_t open = text.find('{', close);
    std::size_t last = open + 1;
    for (int depth = 1; last < text.size(); last++) {
      if (text[last] == '{') depth++;
      if (text[last] == '}' && --depth == 0) break;
    }
    parser.parseBody(text.substr(open + 1, last - open - 1));
    module.kernels.push_back(std::move(kernel));
    at = last + 1;
  }
  if (module.kernels.empty()) throw Report("the PTX has no kernel");
  return module;
}

}  // namespace emulator
