/** How the product's processes wait for their servers. */
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { untilItWorks } from "../../../workers/process.ts";

const log = pino({ level: "silent" });
const { signal } = new AbortController();

describe("waiting for a server", () => {
  test("goes on until it is there", async () => {
    let tries = 0;
    const answer = await untilItWorks("It", log, signal, async () => {
      if (++tries < 2) throw new Error("not yet");
      return tries;
    });
    expect(answer).toBe(2);
  });

  test("ends at once with a failure that time does not mend", async () => {
    let tries = 0;
    const work = untilItWorks(
      "It",
      log,
      signal,
      async () => {
        tries++;
        throw new Error("wrong password");
      },
      { passing: () => false },
    );
    await expect(work).rejects.toThrow("It cannot be used: wrong password");
    expect(tries).toBe(1);
  });

  test("ends when its time is over, and says for what it waited", async () => {
    const work = untilItWorks("It", log, signal, () => Promise.reject(new Error("away")), { within: 300 });
    await expect(work).rejects.toThrow("It did not answer within 0.3 s: away");
  });
});
