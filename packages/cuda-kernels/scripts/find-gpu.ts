// Names the GPU that tests and benches would use, or says in one line why there is none and ends with 2.
import { listCudaDevices } from '../src/index.ts';

const found = listCudaDevices();
if (found.available) {
  const [{ name, capability }] = found.devices;
  console.log(
    `[gpu] ${name}, compute capability ${capability.major}.${capability.minor}, CUDA ${found.driver}`,
  );
} else {
  console.error(`[gpu] nothing was tested: ${found.reason}`);
  process.exitCode = 2;
}
