import { minutes, seconds } from '../../core/time.ts';
import type { ProviderProfile } from '../provider.ts';

/** Pages of a card's order records that one question reads. */
export const recordPagesMax = 5;
/** Rows a page. Source: no maximum is documented for order records (protocols/eiotclub.md, section 5, U). */
export const recordPageSize = 100;
/** States that `getOrderPackageDetails` is asked for, one request each. Source: section 4.2. */
export const detailsStatesMax = 3;

export const profile: ProviderProfile = {
  // Source: protocols/eiotclub.md, section 1.1: 10 requests per second per account (C, a customer's notes).
  requestsPerSec: 10,
  // Source: section 1.1 names no limit on connections and none per day.
  connectionsMax: null,
  requestsPerDay: null,
  // Assumption: nothing is documented. Ten minutes is far beyond the provider's own 10 s client time-out
  // (section 1.1, S), so an order that isn't in the records by then was not taken.
  lateCommit: minutes(10),
  // The provider's SDK waits 10 s (section 1.1, S); a slow answer is worth more than an unknown outcome.
  callTimeout: seconds(15),
  // Assumption: the allowed skew is not documented (section 1.1, U).
  clockSkew: minutes(5),
};
