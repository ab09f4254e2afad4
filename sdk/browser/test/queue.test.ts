import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { createQueue } from "../src/queue";
import { createStore, type Backend } from "../src/storage";
import type { Message } from "../src/types";
import { fakeClock } from "./clock";

interface Sent {
  body: string;
  leaving: boolean;
  answer(status: number, retryAfter?: number): Promise<void>;
}

/** A queue on a fake clock, whose posts are answered by the test. */
function setUp(t: TestContext) {
  const tick = fakeClock(t);
  const values = new Map<string, string>();
  const backend: Backend = {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
  };
  const store = createStore(() => backend);
  store.open();
  const sent: Sent[] = [];
  const post = (body: string, leaving: boolean) =>
    new Promise<{ status: number; retryAfter: number }>((resolve) => {
      const answer = async (status: number, retryAfter = 0) => {
        resolve({ status, retryAfter });
        await new Promise(setImmediate);
      };
      sent.push({ body, leaving, answer });
    });
  const queue = createQueue(store, post, () => false, { key: "k", host: "", flushInterval: 100, flushAt: 3 });
  const add = (id: string, text = "") => queue.add({ messageId: id, text } as unknown as Message);
  const ids = (index: number) => JSON.parse(sent[index]!.body).batch.map((message: Message) => message.messageId);
  return { queue, store, sent, add, ids, tick };
}

test("one request is in flight at a time, and what came meanwhile follows it", async (t) => {
  const { sent, add, ids, tick } = setUp(t);
  add("a");
  tick(100);
  add("b");
  add("c");
  tick(10_000);
  assert.equal(sent.length, 1);
  await sent[0]!.answer(200);
  tick(100);
  assert.deepEqual(ids(1), ["b", "c"]);
});

test("pauses double up to a minute, each at least half of itself", async (t) => {
  const { sent, add, tick } = setUp(t);
  add("a");
  tick(100);
  for (let failure = 0; failure < 9; failure++) {
    await sent[failure]!.answer(500);
    const pause = Math.min(60_000, 1_000 * 2 ** failure);
    tick(pause / 2 - 1);
    assert.equal(sent.length, failure + 1);
    tick(pause / 2 + 1);
    assert.equal(sent.length, failure + 2);
  }
});

test("leaving sends what fits beside what is in flight, in requests below the quota", (t) => {
  const { queue, sent, add } = setUp(t);
  for (let number = 0; number < 30; number++) add(`m${number}`, "x".repeat(5_000));
  queue.leave();
  assert.ok(sent.length >= 2 && sent.every((each) => each.leaving && each.body.length < 41_000));
  assert.ok(sent.reduce((sum, each) => sum + each.body.length, 0) < 65_536);
});

test("leaving during a pause sends nothing and remembers everything", async (t) => {
  const { queue, store, sent, add, tick } = setUp(t);
  add("a");
  tick(100);
  await sent[0]!.answer(429, 30_000);
  add("b");
  queue.leave();
  assert.equal(sent.length, 1);
  assert.deepEqual((store.read("queue", Array.isArray) as [string][]).map((entry) => entry[0]), ["a", "b"]);
});

test("the network coming back ends a pause of ours, not one the server ordered", async (t) => {
  const { queue, sent, add, tick } = setUp(t);
  add("a");
  tick(100);
  await sent[0]!.answer(0);
  queue.online();
  assert.equal(sent.length, 2);
  await sent[1]!.answer(429, 30_000);
  queue.online();
  tick(29_000);
  assert.equal(sent.length, 2);
});

test("a confirmed message leaves storage, another tab's stays", async (t) => {
  const { store, queue, sent, add, tick } = setUp(t);
  add("mine");
  tick(100);
  queue.leave();
  store.write("queue", [...(store.read("queue", Array.isArray) as unknown[]), ["theirs", "{}", 2]]);
  await sent[0]!.answer(200);
  assert.deepEqual((store.read("queue", Array.isArray) as [string][]).map((entry) => entry[0]), ["theirs"]);
});

test("a message above 32 KB is refused, in bytes and not in characters", (t) => {
  const { add } = setUp(t);
  assert.throws(() => add("a", "é".repeat(17_000)));
  assert.doesNotThrow(() => add("b", "e".repeat(17_000)));
});
