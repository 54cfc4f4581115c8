/**
 * Runs the program of a file as Hugging Face's `code_eval` does: fresh globals, no input, no output, calls
 * that could harm the machine replaced by None, and a time limit. On success it writes `passed` to
 * descriptor 3.
 * Arguments: file, seconds, bytes of memory.
 */
export const PYTHON_RUNNER = String.raw`
import faulthandler, io, os, resource, signal, sys
path, seconds, memory = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
source = open(path, encoding="utf-8").read()
report = os.fdopen(3, "w")
write, flush = report.write, report.flush
for limit, value in [(resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, int(seconds) + 2),
                     (resource.RLIMIT_FSIZE, 1 << 24), (resource.RLIMIT_CORE, 0),
                     (resource.RLIMIT_NOFILE, 64)]:
    resource.setrlimit(limit, (value, value))

class Silent(io.StringIO):
    def read(self, *args): raise IOError
    readline = readlines = read
    def readable(self): return False

def late(*_): raise TimeoutError
signal.signal(signal.SIGALRM, late)
silent = Silent()
sys.stdin = sys.stdout = sys.stderr = silent

import builtins, shutil, subprocess
os.environ["OMP_NUM_THREADS"] = "1"
faulthandler.disable()
builtins.exit = builtins.quit = builtins.help = None
for name in ["kill", "system", "putenv", "remove", "removedirs", "rmdir", "fchdir", "setuid", "fork",
             "forkpty", "killpg", "rename", "renames", "truncate", "replace", "unlink", "fchmod", "fchown",
             "chmod", "chown", "chroot", "lchown", "getcwd", "chdir", "posix_spawn", "posix_spawnp",
             "execv", "execve"]:
    setattr(os, name, None)
shutil.rmtree = shutil.move = shutil.chown = None
subprocess.Popen = None
for name in ["ipdb", "joblib", "resource", "psutil", "tkinter"]:
    sys.modules[name] = None

passed = False
signal.setitimer(signal.ITIMER_REAL, seconds)
try:
    exec(source, {})
    passed = True
except BaseException:
    pass
signal.setitimer(signal.ITIMER_REAL, 0)
if passed:
    write("passed")
    flush()
os._exit(0)
`;
