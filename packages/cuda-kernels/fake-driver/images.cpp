#include "images.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "results.h"

namespace fake {
namespace {

struct Image {
  int architecture;
  std::string cubin;
  std::string ptx;
};

// images.bin in the folder of this library: scripts/build-fake-driver.mjs.
std::vector<Image> readImages() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<const void*>(&readImages), &info)) return {};
  const std::string library = info.dli_fname;
  std::ifstream file(library.substr(0, library.rfind('/') + 1) + "images.bin", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<Image> images;
  std::size_t at = 0;
  const auto number = [&] {
    std::uint32_t value;
    std::memcpy(&value, bytes.data() + at, 4);
    at += 4;
    return value;
  };
  const auto text = [&] {
    const std::uint32_t length = number();
    at += length;
    return bytes.substr(at - length, length);
  };
  while (at < bytes.size()) {
    Image image;
    image.architecture = static_cast<int>(number());
    image.cubin = text();
    image.ptx = text();
    images.push_back(std::move(image));
  }
  return images;
}

template <class Number>
std::uint64_t fieldAt(const char* image, std::size_t offset) {
  Number value;
  std::memcpy(&value, image + offset, sizeof value);
  return value;
}

// Where an ELF file ends: behind its table of sections or of programs, whichever is later.
std::size_t elfBytes(const char* image) {
  const std::uint64_t programs = fieldAt<std::uint64_t>(image, 32);
  const std::uint64_t sections = fieldAt<std::uint64_t>(image, 40);
  return std::max(programs + fieldAt<std::uint16_t>(image, 54) * fieldAt<std::uint16_t>(image, 56),
                  sections + fieldAt<std::uint16_t>(image, 58) * fieldAt<std::uint16_t>(image, 60));
}

int loadPtx(const std::string& text, std::shared_ptr<LoadedModule>& loaded) {
  try {
    loaded = std::make_shared<LoadedModule>();
    loaded->module = emulator::parseModule(text);
    return OK;
  } catch (const emulator::Report& report) {
    std::fprintf(stderr, "[fake-cuda] %s\n", report.what());
    return INVALID_PTX;
  }
}

int numberAfter(const std::string& text, const std::string& words) {
  const std::size_t at = text.find(words);
  return at == std::string::npos ? -1 : std::stoi(text.substr(at + words.size()));
}

// The CUDA of ISA 8.x: 12.x up to 8.5; CUDA 12.6 brought none.
int cudaOfIsa(int minor) { return 12000 + 10 * (minor + (minor >= 6 ? 1 : 0)); }

}  // namespace

int loadImage(const char* image, const Settings& settings, std::shared_ptr<LoadedModule>& loaded) {
  if (std::memcmp(image, "\177ELF", 4) != 0) {
    const std::string text = image;
    const int architecture = numberAfter(text, ".target sm_");
    if (architecture < 0) return INVALID_IMAGE;
    if (architecture > settings.capability) return NO_BINARY_FOR_GPU;
    if (cudaOfIsa(numberAfter(text, ".version 8.")) > settings.driver) return UNSUPPORTED_PTX_VERSION;
    return loadPtx(text, loaded);
  }
  static const std::vector<Image> images = readImages();
  const std::string cubin(image, elfBytes(image));
  for (const Image& known : images) {
    if (known.cubin != cubin) continue;
    const bool isUsable =
        known.architecture / 10 == settings.capability / 10 && known.architecture <= settings.capability;
    return isUsable ? loadPtx(known.ptx, loaded) : static_cast<int>(NO_BINARY_FOR_GPU);
  }
  std::fprintf(stderr, "[fake-cuda] this cubin is not in images.bin\n");
  return INVALID_IMAGE;
}

}  // namespace fake
