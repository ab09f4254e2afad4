import assert from "node:assert/strict";
import { test } from "node:test";
import { createLimit, fingerprint, sampled } from "../src/addons/limit";

test("numbers and hexadecimal ids do not make another fault, other words do", () => {
  assert.equal(fingerprint("Error", "order 17 failed at 0a1b2c3d4e5f"), fingerprint("Error", "order 98123 failed at ffee00112233"));
  assert.notEqual(fingerprint("Error", "order failed"), fingerprint("Error", "payment failed"));
  assert.notEqual(fingerprint("Error", "x"), fingerprint("TypeError", "x"));
});

test("a fault passes five times a minute, then tells how often it was held back", () => {
  const limit = createLimit();
  const passed = (now: number, times: number) => Array.from({ length: times }, () => limit.pass("a", now)).filter((held) => held != undefined);
  assert.deepEqual(passed(0, 20), [0, 0, 0, 0, 0]);
  assert.deepEqual(passed(59_999, 1), []);
  assert.deepEqual(passed(60_000, 1), [16]);
});

test("the ceiling of a page holds over all faults", () => {
  const limit = createLimit(5, 3);
  assert.equal(["a", "b", "c", "d", "e"].filter((print) => limit.pass(print, 0) != undefined).length, 3);
});

test("a sample is the same sessions every time, in the share asked for", () => {
  const sessions = Array.from({ length: 4000 }, (_, number) => `session-${number}`);
  const chosen = sessions.filter((session) => sampled(session, 0.25));
  assert.ok(Math.abs(chosen.length / sessions.length - 0.25) < 0.03);
  assert.deepEqual(chosen, sessions.filter((session) => sampled(session, 0.25)));
  assert.ok(chosen.every((session) => sampled(session, 0.5)));
  assert.ok(sessions.every((session) => sampled(session, 1) && !sampled(session, 0)));
});
