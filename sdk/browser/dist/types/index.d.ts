import type { FunnelWatch } from "./types";
export declare const funnelwatch: FunnelWatch;
export type * from "./types";
export type { AddonName, CommerceEvent } from "./names";
