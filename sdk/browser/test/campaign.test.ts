import assert from "node:assert/strict";
import { test } from "node:test";
import { tagsOf } from "../src/campaign";

const shop = "https://shop.example/sale";

test("UTM parameters are the campaign", () => {
  assert.deepEqual(tagsOf(`${shop}?utm_source=ig&utm_medium=paid&utm_campaign=ig_sale&utm_content=a`), {
    campaign: { source: "ig", medium: "paid", name: "ig_sale" },
  });
});

test("a half-tagged link says what is not set", () => {
  assert.deepEqual(tagsOf(`${shop}?utm_campaign=ig_sale`), { campaign: { source: "(not set)", medium: "(not set)", name: "ig_sale" } });
  assert.equal(tagsOf(`${shop}?utm_medium=paid`), undefined);
});

test("UTM beats a click id, and a click id gives its name alone", () => {
  assert.deepEqual(tagsOf(`${shop}?gclid=abc&utm_source=ig`)?.campaign?.source, "ig");
  for (const click of ["gclid", "gbraid", "wbraid", "dclid", "msclkid", "fbclid", "ttclid", "twclid", "li_fat_id", "rdt_cid", "ScCid", "yclid", "igshid", "epik"]) {
    assert.deepEqual(tagsOf(`${shop}?colour=red&${click}=secret`), { click });
  }
});

test("an ordinary address is not tagged, and a long tag is cut", () => {
  assert.equal(tagsOf(`${shop}?colour=red&page=2#utm_source=x`), undefined);
  assert.equal(tagsOf(`${shop}?utm_source=${"x".repeat(300)}`)?.campaign?.source.length, 100);
});
