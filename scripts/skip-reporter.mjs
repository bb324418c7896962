// A vitest reporter: the JSON one leaves out why a test was skipped. Writes [{ test, reason }] to the file that the
// environment variable names.
import { writeFileSync } from "node:fs";
import { relative } from "node:path";

export const skipsFileVariable = "TEST_SKIPS_FILE";

export default class SkipReporter {
  onTestRunEnd(modules) {
    const skips = [];
    for (const module of modules) {
      for (const test of module.children.allTests("skipped")) {
        const reason = test.result().note ?? test.meta().skipReason ?? "no reason given";
        skips.push({ test: `${relative(process.cwd(), module.moduleId)} > ${test.fullName}`, reason });
      }
    }
    const file = process.env[skipsFileVariable];
    if (file) writeFileSync(file, JSON.stringify(skips));
  }
}
