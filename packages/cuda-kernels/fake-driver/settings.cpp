#include "settings.h"

#include <cmath>
#include <sstream>
#include <stdexcept>

namespace fake {
namespace {

void parseFailure(const std::string& text, Settings& settings) {
  std::istringstream parts(text);
  std::string use, result;
  std::getline(parts, settings.failingCall, ':');
  std::getline(parts, use, ':');
  std::getline(parts, result);
  settings.failingUse = std::stoi(use);
  settings.failure = std::stoi(result);
}

}  // namespace

Settings parseSettings(const std::string& text) {
  Settings settings;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const std::size_t middle = word.find('=');
    const std::string name = word.substr(0, middle);
    const std::string value = middle == std::string::npos ? "" : word.substr(middle + 1);
    if (name == "capability")
      settings.capability = static_cast<int>(std::lround(std::stod(value) * 10));
    else if (name == "memory")
      settings.memoryBytes = std::stoull(value);
    else if (name == "devices")
      settings.devices = std::stoi(value);
    else if (name == "driver")
      settings.driver = std::stoi(value);
    else if (name == "cublas")
      settings.cublas = std::stoull(value);
    else if (name == "seed")
      settings.seed = std::stoull(value);
    else if (name == "fail")
      parseFailure(value, settings);
    else if (name == "log")
      settings.logPath = value;
    else if (name == "pageable")
      settings.isPageable = value == "1";
    else
      throw std::invalid_argument("QDYLORA_FAKE_CUDA: there is no setting " + name);
  }
  return settings;
}

}  // namespace fake
