import type { OnMet } from '../portal/line.ts';
import { notePortalCertificate } from '../state/contact.ts';
import type { State } from '../state/state.ts';

/** Keeps when the portal's certificate expires, so that monitoring sees it coming. Once a connection; nothing depends on it. */
export function noteCertificate(state: State): OnMet {
  return ({ certificateExpiry }) => {
    if (certificateExpiry === null) return;
    state.step((tx) => notePortalCertificate(tx, certificateExpiry)).catch(() => {});
  };
}
