/** How many questions about pods may be under way: each takes a place among the tasks of its cluster's workers. */
import { Problem } from "../problem.ts";

export type Bounds = {
  /** Of this process. */
  all: number;
  /** Of one subject in this process. */
  ofSubject: number;
};

const DEFAULTS: Bounds = { all: 20, ofSubject: 5 };

export function createAdmission({ all, ofSubject }: Bounds = DEFAULTS) {
  const open = new Map<string, number>();
  const total = (): number => [...open.values()].reduce((sum, count) => sum + count, 0);
  return {
    /**
     * Lets a question begin; the answer ends it.
     * @throws Problem too-many-questions (429), unavailable (503)
     */
    admit(subject: string): () => void {
      const own = open.get(subject) ?? 0;
      const headers = { "Retry-After": "2" };
      if (own >= ofSubject) {
        throw new Problem(
          "too-many-questions",
          `"${subject}" has ${own} questions about pods under way, which is all that one subject may have; wait for their answers.`,
          { headers },
        );
      }
      if (total() >= all) {
        throw new Problem(
          "unavailable",
          `This process has ${all} questions about pods under way, which is all it may; try again in a moment.`,
          { headers },
        );
      }
      open.set(subject, own + 1);
      return () => {
        const left = (open.get(subject) ?? 1) - 1;
        if (left > 0) open.set(subject, left);
        else open.delete(subject);
      };
    },
  };
}
