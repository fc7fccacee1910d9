/** The part of vitest's JSON report that is counted. */
export interface VitestResults {
  numPassedTests: number;
  numFailedTests: number;
  testResults: { status: string; assertionResults: unknown[] }[];
}

/**
 * Counts a test run. A file that could not be loaded has no tests to count and counts as one failure; so does a run
 * that failed although no test did (an unhandled error, a set-up that failed, a crash).
 */
export function countResults(results: VitestResults | undefined, exitCode: number): { passed: number; failed: number } {
  if (results === undefined) return { passed: 0, failed: 1 };
  const unloaded = results.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
  );
  const failed = results.numFailedTests + unloaded.length;
  return { passed: results.numPassedTests, failed: failed === 0 && exitCode !== 0 ? 1 : failed };
}
