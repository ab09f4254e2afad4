/** The npm package: the same calls as `window.funnelwatch`, add-ons as chunks the shop's bundler splits off. */
import { createApi } from "./api";
import { faults } from "./guard";
import type { AddonName } from "./names";
import type { Addon, FunnelWatch } from "./types";

const chunks: Record<AddonName, () => Promise<{ default: Addon }>> = {
  errors: () => import("./addons/errors"),
  vitals: () => import("./addons/vitals"),
  checkout: () => import("./addons/checkout"),
  clicks: () => import("./addons/clicks"),
};

export const funnelwatch: FunnelWatch = createApi((name) => {
  chunks[name]().then((chunk) => funnelwatch.use(chunk.default), faults.show);
});

export type * from "./types";
export type { AddonName, CommerceEvent } from "./names";
