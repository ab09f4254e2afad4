/** `/js/{write_key}.js`: the project's settings, and the SDK file they are for. The server fills in the object. */
import { loadScript, ownNonce } from "./script";
import { installStub } from "./stub";
import type { Settings } from "./types";

declare const __FUNNELWATCH_CONFIG__: {
  key: string;
  host: string;
  /** Address of the immutable SDK file, and its integrity from manifest.json. */
  sdk: string;
  integrity: string;
  settings: Partial<Settings> & { honourDnt?: boolean; honourGpc?: boolean };
};

const config = __FUNNELWATCH_CONFIG__;
const stub = installStub();
// A page that has the snippet twice still gets one SDK.
if (!stub.c && !stub.init) {
  stub.c = { ...config.settings, ...stub.settings, key: config.key, host: config.host };
  const browser = navigator as Navigator & { globalPrivacyControl?: boolean; doNotTrack?: string };
  const { honourDnt, honourGpc } = config.settings;
  if ((honourGpc && browser.globalPrivacyControl) || (honourDnt && browser.doNotTrack == "1")) stub.c.consent = "denied";
  stub.a = ADDON_INTEGRITY;
  loadScript(config.sdk, ownNonce(), config.integrity);
}
