import { expect, test } from "vitest";
import { createAdmission } from "../../../api/routes/pod-questions.ts";
import { Problem } from "../../../api/problem.ts";

test("questions about pods are bounded for one subject and for all, and make room when they are answered", () => {
  const questions = createAdmission({ all: 3, ofSubject: 2 });
  const refusalOf = (subject: string): string => {
    try {
      questions.admit(subject);
      return "none";
    } catch (error) {
      return error instanceof Problem ? `${error.status} ${error.type}` : String(error);
    }
  };
  const first = questions.admit("ann");
  questions.admit("ann");
  expect(refusalOf("ann")).toMatch(/^429 .*too-many-questions/);
  questions.admit("ben");
  expect(refusalOf("cem")).toMatch(/^503 .*unavailable/);
  first();
  expect(refusalOf("ann")).toBe("none");
  expect(refusalOf("cem")).toMatch(/^503/);
});
