#include "mpi-library.h"

#include <cstdint>
#include <cstdlib>

#include "../symbols.h"

namespace qdylora {
namespace {

/** The functions of MPI where handles are of type `Handle`: int (MPICH), or a pointer. */
template <class Handle>
struct Functions {
  int (*Initialized)(int*);
  int (*Init_thread)(int*, char***, int, int*);
  int (*Finalize)();
  int (*Abort)(Handle, int);
  int (*Comm_rank)(Handle, int*);
  int (*Comm_size)(Handle, int*);
  int (*Comm_set_errhandler)(Handle, Handle);
  int (*Allreduce)(const void*, void*, int, Handle, Handle, Handle);
  int (*Bcast)(void*, int, Handle, int, Handle);
  int (*Allgather)(const void*, int, Handle, void*, int, Handle, Handle);
  int (*Alltoall)(const void*, int, Handle, void*, int, Handle, Handle);
  int (*Barrier)(Handle);
  int (*Error_string)(int, char*, int*);
  int (*Get_library_version)(char*, int*);
};

template <class Handle>
struct Constants {
  Handle world;
  Handle errorsReturn;
  /** By `Element`. */
  Handle elements[4];
  /** By `Reduction`. */
  Handle reductions[3];
  void* inPlace;
  int threadsSerialized;
};

/** The opened library: one for each kind of handles, and only one of them is in use. */
template <class Handle>
struct Opened {
  static Functions<Handle> mpi;
  static Constants<Handle> constants;

  static Handle of(int element) { return constants.elements[element]; }

  static int initialize(int* threads) {
    int isInitialized = 0;
    int level = constants.threadsSerialized;
    mpi.Initialized(&isInitialized);
    if (!isInitialized) {
      const int code = mpi.Init_thread(nullptr, nullptr, constants.threadsSerialized, &level);
      if (code != 0) return code;
    }
    *threads = level >= constants.threadsSerialized;
    return mpi.Comm_set_errhandler(constants.world, constants.errorsReturn);
  }
  static int finalize() { return mpi.Finalize(); }
  static int abort(int status) { return mpi.Abort(constants.world, status); }
  static int rank(int* rank) { return mpi.Comm_rank(constants.world, rank); }
  static int size(int* size) { return mpi.Comm_size(constants.world, size); }
  static int allReduce(void* values, int count, int element, int reduction) {
    const Handle operation = constants.reductions[reduction];
    return mpi.Allreduce(constants.inPlace, values, count, of(element), operation, constants.world);
  }
  static int broadcast(void* values, int count, int element, int root) {
    return mpi.Bcast(values, count, of(element), root, constants.world);
  }
  static int allGather(const void* part, void* all, int count, int element) {
    return mpi.Allgather(part, count, of(element), all, count, of(element), constants.world);
  }
  static int allToAll(const void* parts, void* received, int count, int element) {
    return mpi.Alltoall(parts, count, of(element), received, count, of(element), constants.world);
  }
  static int barrier() { return mpi.Barrier(constants.world); }
  static void message(int code, char* text) {
    int length = 0;
    text[0] = '\0';
    mpi.Error_string(code, text, &length);
  }
  static void version(char* text) {
    int length = 0;
    text[0] = '\0';
    mpi.Get_library_version(text, &length);
  }
};

template <class Handle>
Functions<Handle> Opened<Handle>::mpi;
template <class Handle>
Constants<Handle> Opened<Handle>::constants;

template <class Handle>
constexpr MpiLibrary tableOf() {
  using Library = Opened<Handle>;
  return {Library::initialize, Library::finalize,  Library::abort,     Library::rank,
          Library::size,       Library::allReduce, Library::broadcast, Library::allGather,
          Library::allToAll,   Library::barrier,   Library::message,   Library::version};
}

template <class Handle>
void readFunctions(Symbols& symbols) {
  auto& mpi = Opened<Handle>::mpi;
  symbols.read(mpi.Initialized, "MPI_Initialized");
  symbols.read(mpi.Init_thread, "MPI_Init_thread");
  symbols.read(mpi.Finalize, "MPI_Finalize");
  symbols.read(mpi.Abort, "MPI_Abort");
  symbols.read(mpi.Comm_rank, "MPI_Comm_rank");
  symbols.read(mpi.Comm_size, "MPI_Comm_size");
  symbols.read(mpi.Comm_set_errhandler, "MPI_Comm_set_errhandler");
  symbols.read(mpi.Allreduce, "MPI_Allreduce");
  symbols.read(mpi.Bcast, "MPI_Bcast");
  symbols.read(mpi.Allgather, "MPI_Allgather");
  symbols.read(mpi.Alltoall, "MPI_Alltoall");
  symbols.read(mpi.Barrier, "MPI_Barrier");
  symbols.read(mpi.Error_string, "MPI_Error_string");
  symbols.read(mpi.Get_library_version, "MPI_Get_library_version");
}

void* pointer(std::intptr_t value) { return reinterpret_cast<void*>(value); }

Constants<void*> openMpiConstants(Symbols& symbols) {
  return {symbols.at("ompi_mpi_comm_world"),
          symbols.at("ompi_mpi_errors_return"),
          {symbols.at("ompi_mpi_float"), symbols.at("ompi_mpi_double"), symbols.at("ompi_mpi_int32_t"),
           symbols.at("ompi_mpi_uint8_t")},
          {symbols.at("ompi_mpi_op_sum"), symbols.at("ompi_mpi_op_max"), symbols.at("ompi_mpi_op_min")},
          pointer(1),
          2};
}

Constants<int> mpichConstants() {
  return {0x44000000,
          0x54000001,
          {0x4c00040a, 0x4c00080b, 0x4c000439, 0x4c00013b},
          {0x58000003, 0x58000001, 0x58000002},
          pointer(-1),
          2};
}

Constants<void*> standardConstants() {
  return {pointer(0x101),
          pointer(0x143),
          {pointer(0x210), pointer(0x214), pointer(0x250), pointer(0x241)},
          {pointer(0x21), pointer(0x23), pointer(0x22)},
          pointer(1),
          2048};
}

const MpiLibrary POINTER_TABLE = tableOf<void*>();
const MpiLibrary INT_TABLE = tableOf<int>();

/** Null, without an error of `symbols`: it was compiled for another table. */
const MpiLibrary* readShim(Symbols& symbols) {
  const MpiLibrary* (*tableOfVersion)(int) = nullptr;
  symbols.read(tableOfVersion, QDYLORA_MPI_TABLE_FUNCTION);
  return symbols.areAllThere() ? tableOfVersion(QDYLORA_MPI_TABLE_VERSION) : nullptr;
}

const MpiLibrary* readLibrary(Abi abi, Symbols& symbols) {
  if (abi == Abi::Shim) return readShim(symbols);
  if (abi == Abi::Mpich) {
    readFunctions<int>(symbols);
    Opened<int>::constants = mpichConstants();
    return &INT_TABLE;
  }
  readFunctions<void*>(symbols);
  Opened<void*>::constants = abi == Abi::OpenMpi ? openMpiConstants(symbols) : standardConstants();
  return &POINTER_TABLE;
}

const MpiLibrary* opened = nullptr;

/**
 * By default UCX, below MPICH, overwrites the first instructions of munmap and madvise, which V8's other
 * threads run meanwhile: some starts crashed. With `reloc` it replaces pointers instead. It reads this when
 * it is loaded.
 */
void keepUcxFromCode() { setenv("UCX_MEM_MMAP_HOOK_MODE", "reloc", 0); }

}  // namespace

bool identifyLibrary(const char* path, char* version, bool& isShim, OpenError& error) {
  keepUcxFromCode();
  Symbols symbols(path, error.text, sizeof error.text);
  int (*getVersion)(char*, int*);
  symbols.read(getVersion, "MPI_Get_library_version");
  int length = 0;
  version[0] = '\0';
  isShim = symbols.has(QDYLORA_MPI_TABLE_FUNCTION);
  return symbols.areAllThere() && getVersion(version, &length) == 0;
}

const MpiLibrary* openMpiLibrary(const char* path, Abi abi, OpenError& error) {
  if (opened != nullptr) return opened;
  keepUcxFromCode();
  Symbols symbols(path, error.text, sizeof error.text);
  const MpiLibrary* table = readLibrary(abi, symbols);
  if (symbols.areAllThere() && table == nullptr)
    std::snprintf(error.text, sizeof error.text, "it was compiled for another version: compile it again");
  return symbols.areAllThere() ? opened = table : nullptr;
}

}  // namespace qdylora
