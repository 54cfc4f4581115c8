// A cable between two network namespaces, with a rate and a delay: a relay between two TUN devices.
// Kernels without the netem queue have no other way to delay packets. Usage, as root:
//   shaped-link NAMESPACE_A NAMESPACE_B DEVICE MEGABITS_PER_SECOND DELAY_MILLISECONDS
// It prints "ready" when both devices exist. SIGUSR1 cuts the cable: packets vanish, and nobody is told.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct Packet {
  Clock::time_point due;
  std::vector<char> bytes;
};

// Packets on their way from one device to the other.
struct Direction {
  int from;
  int to;
  Clock::time_point freeAt{};  // when the last bit of the newest packet has left
  size_t queuedBytes = 0;
  std::deque<Packet> packets;
};

constexpr size_t kLongestPacket = 65535;
constexpr size_t kQueueBytes = 16 << 20;  // a router's buffer; more is dropped

volatile sig_atomic_t isCut = 0;

// Opens the device in a namespace; this process stays in that namespace.
int openDevice(const std::string& name, const char* device) {
  const int space = open(("/var/run/netns/" + name).c_str(), O_RDONLY);
  if (space < 0 || setns(space, CLONE_NEWNET) != 0) return -1;
  close(space);
  const int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  return tun >= 0 && ioctl(tun, TUNSETIFF, &request) == 0 ? tun : -1;
}

void takePackets(Direction& way, double bytesPerSecond, Seconds delay) {
  char buffer[kLongestPacket];
  for (ssize_t size; (size = read(way.from, buffer, sizeof buffer)) > 0;) {
    if (isCut || way.queuedBytes + size > kQueueBytes) continue;
    const auto start = std::max(way.freeAt, Clock::now());
    way.freeAt = start + std::chrono::duration_cast<Clock::duration>(Seconds(size / bytesPerSecond));
    const auto due = way.freeAt + std::chrono::duration_cast<Clock::duration>(delay);
    way.packets.push_back({due, std::vector<char>(buffer, buffer + size)});
    way.queuedBytes += size;
  }
}

void deliverPackets(Direction& way) {
  while (!way.packets.empty() && way.packets.front().due <= Clock::now()) {
    const auto& bytes = way.packets.front().bytes;
    if (!isCut && write(way.to, bytes.data(), bytes.size()) < 0) return;  // the device is down
    way.queuedBytes -= bytes.size();
    way.packets.pop_front();
  }
}

}  // namespace

int main(int count, char** words) {
  if (count != 6) return 2;
  const int a = openDevice(words[1], words[3]);
  const int b = openDevice(words[2], words[3]);
  if (a < 0 || b < 0) return std::perror("shaped-link"), 1;
  std::signal(SIGUSR1, [](int) { isCut = 1; });
  std::puts("ready");
  std::fflush(stdout);
  const double bytesPerSecond = std::atof(words[4]) * 1e6 / 8;
  const Seconds delay(std::atof(words[5]) / 1000);
  Direction ways[] = {{a, b, {}, 0, {}}, {b, a, {}, 0, {}}};
  for (;;) {
    auto wake = Clock::now() + std::chrono::seconds(1);
    for (const auto& way : ways)
      if (!way.packets.empty()) wake = std::min(wake, way.packets.front().due);
    const double wait = std::max(0.0, Seconds(wake - Clock::now()).count());
    const timespec time{static_cast<time_t>(wait),
                        static_cast<long>((wait - static_cast<time_t>(wait)) * 1e9)};
    pollfd devices[] = {{a, POLLIN, 0}, {b, POLLIN, 0}};
    ppoll(devices, 2, &time, nullptr);
    for (auto& way : ways) {
      takePackets(way, bytesPerSecond, delay);
      deliverPackets(way);
    }
  }
}
