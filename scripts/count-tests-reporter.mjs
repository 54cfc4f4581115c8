// What vitest's own reporters leave out: files that never came to an end, the reason of each skipped test,
// and the counts in a file for scripts/test.mjs.
import { writeFileSync } from 'node:fs';

export default class CountTestsReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const inState = (state) => tests.filter((test) => test.result().state === state);
    const broken = modules
      .flatMap((module) => [module, ...module.children.allSuites()])
      .filter((suite) => suite.errors().length > 0);
    const unfinished = modules.filter(
      (module) => module.state() === 'queued' || module.state() === 'pending',
    );
    const skipped = inState('skipped');
    for (const module of unfinished)
      console.log(`never came to an end (a crash of the process?): ${module.moduleId}`);
    for (const test of skipped)
      console.log(`skipped: ${test.project.name} › ${test.fullName}: ${reasonOf(test)}`);
    // A file that cannot be loaded, a hook that throws, a file without an end and an error outside any test
    // count as one failure each.
    const counts = {
      passed: inState('passed').length,
      failed: inState('failed').length + broken.length + unfinished.length + unhandledErrors.length,
      skipped: skipped.length,
    };
    if (process.env.QDYLORA_TEST_COUNTS)
      writeFileSync(process.env.QDYLORA_TEST_COUNTS, JSON.stringify(counts));
  }
}

const reasonOf = (test) =>
  test.result().note ?? (test.options.mode === 'todo' ? 'not written yet' : 'no reason given');
