#pragma once
// Decodes a whole NF4 matrix (blocks of 64, the high nibble first) to float32 or bf16, at the speed
// of memory: the cost of "dequantize, then multiply" before the product.
// Each thread owns a range of blocks. A weight reads 0.5 + 1/16 bytes and writes 4 or 2, so write bandwidth
// is the floor. It uses AVX-512 (with BF16 for bf16) where that is compiled in.
#if defined(__AVX512F__)
#include <immintrin.h>
#endif
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

// Memory on huge pages where the system has them, as for the weights of qdylora.
template <class T>
struct Buffer {
  T* data = nullptr;
  std::size_t size = 0;
  Buffer() = default;
  explicit Buffer(std::size_t count) : size(count) {
    constexpr std::size_t PAGE = std::size_t{2} << 20;
    const std::size_t bytes = (count * sizeof(T) + PAGE - 1) / PAGE * PAGE;
    data = static_cast<T*>(std::aligned_alloc(PAGE, bytes ? bytes : PAGE));
    if (!data) throw std::bad_alloc();
    madvise(data, bytes, MADV_HUGEPAGE);
    std::memset(static_cast<void*>(data), 0, bytes);
  }
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data, other.data);
    std::swap(size, other.size);
    return *this;
  }
  ~Buffer() { std::free(data); }
};

alignas(64) constexpr float NF4[16] = {-1.0f,
                                       -0.6961928009986877f,
                                       -0.5250730514526367f,
                                       -0.39491748809814453f,
                                       -0.28444138169288635f,
                                       -0.18477343022823334f,
                                       -0.09105003625154495f,
                                       0.0f,
                                       0.07958029955625534f,
                                       0.16093020141124725f,
                                       0.24611230194568634f,
                                       0.33791524171829224f,
                                       0.44070982933044434f,
                                       0.5626170039176941f,
                                       0.7229568362236023f,
                                       1.0f};

inline std::uint16_t roundedHalf(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

inline float fromHalf(std::uint16_t half) {
  const std::uint32_t bits = static_cast<std::uint32_t>(half) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline void decodeWhole(const Buffer<std::uint8_t>& codes, const Buffer<float>& absmax, Buffer<float>& out) {
  const long blocks = static_cast<long>(absmax.size);
#pragma omp parallel for schedule(static)
  for (long b = 0; b < blocks; b++) {
    const std::uint8_t* from = codes.data + b * 32;
    float* to = out.data + b * 64;
#if defined(__AVX512F__)
    const __m512 table = _mm512_mul_ps(_mm512_load_ps(NF4), _mm512_set1_ps(absmax.data[b]));
    const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
    for (int half = 0; half < 2; half++) {
      const __m512i bytes =
          _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 16 * half)));
      const __m512 high = _mm512_permutexvar_ps(_mm512_srli_epi32(bytes, 4), table);
      const __m512 low = _mm512_permutexvar_ps(bytes, table);
      _mm512_store_ps(to + 32 * half, _mm512_permutex2var_ps(high, first, low));
      _mm512_store_ps(to + 32 * half + 16, _mm512_permutex2var_ps(high, second, low));
    }
#else
    float table[16];
    for (int i = 0; i < 16; i++) table[i] = NF4[i] * absmax.data[b];
    for (int i = 0; i < 32; i++) {
      to[2 * i] = table[from[i] >> 4];
      to[2 * i + 1] = table[from[i] & 15];
    }
#endif
  }
}

inline void decodeWhole(const Buffer<std::uint8_t>& codes, const Buffer<float>& absmax,
                        Buffer<std::uint16_t>& out) {
  const long blocks = static_cast<long>(absmax.size);
#pragma omp parallel for schedule(static)
  for (long b = 0; b < blocks; b++) {
    const std::uint8_t* from = codes.data + b * 32;
    std::uint16_t* to = out.data + b * 64;
#if defined(__AVX512BF16__) && defined(__AVX512BW__)
    // 16 bits per code: the low nibble is looked up in the low half, the high one after a shift; unpacking
    // interleaves them within each 128 bits.
    const __m512 scaled = _mm512_mul_ps(_mm512_load_ps(NF4), _mm512_set1_ps(absmax.data[b]));
    const __m512i table = (__m512i)_mm512_cvtne2ps_pbh(scaled, scaled);
    const __m512i bytes = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    const __m512i low = _mm512_permutexvar_epi16(bytes, table);
    const __m512i high = _mm512_permutexvar_epi16(_mm512_srli_epi16(bytes, 4), table);
    const __m512i even = _mm512_unpacklo_epi16(high, low);
    const __m512i odd = _mm512_unpackhi_epi16(high, low);
    _mm512_store_si512(to, _mm512_permutex2var_epi64(even, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), odd));
    _mm512_store_si512(to + 32,
                       _mm512_permutex2var_epi64(even, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), odd));
#else
    std::uint16_t table[16];
    for (int i = 0; i < 16; i++) table[i] = roundedHalf(NF4[i] * absmax.data[b]);
    for (int i = 0; i < 32; i++) {
      to[2 * i] = table[from[i] >> 4];
      to[2 * i + 1] = table[from[i] & 15];
    }
#endif
  }
}
