import { hours, minutes, seconds } from '../../core/time.ts';
import type { ProviderProfile } from '../provider.ts';

/**
 * Most pages of a SIM's orders that one question reads. A SIM with more orders than this many pages hold can't be
 * read to the end, so nothing is bought for it: an unread page could hold the very order in question.
 */
export const orderPagesMax = 5;

/**
 * How CSSS behaves in time. Its own limits are not documented (protocols/linksfield.md, section 2: "rate limits U").
 * Source: design, section 9 for 10 requests a second, which Linksfield documents for the sister Cube API.
 */
export const csssProfile: ProviderProfile = {
  requestsPerSec: 10,
  // Not documented.
  connectionsMax: null,
  requestsPerDay: null,
  // Not documented. Half an hour is an assumption, far above the 4 s that Cube promises for 99 % of its calls.
  lateCommit: minutes(30),
  callTimeout: seconds(20),
  // Cube asks for clocks within 10 minutes (section 5.1); CSSS names no figure.
  clockSkew: minutes(10),
};

/**
 * Widest distance between a local time and the same figures read as UTC, with an hour to spare: zones reach from
 * UTC-12 to UTC+14. Source: IANA time zone database; the zone of CSSS times is not documented (section 3.4).
 */
export const unknownZoneMargin = hours(15);

/**
 * SIMs in one batch order. No limit is documented (protocols/linksfield.md, section 3.2). Each SIM needs a question of
 * its own before the call, so more than 20 would save less than a twentieth of the requests and put more SIMs in doubt
 * when an answer is lost.
 */
export const csssSimsPerCall = 20;
