import { minutes, seconds } from '../../core/time.ts';
import type { ProviderProfile } from '../provider.ts';

/** Rows that are asked for at once. Source: protocols/linksfield.md, section 5.4 (at most 100 for GET /sims). */
export const pageSize = 100;

/** Pages of one SIM's bundles that one question reads. A SIM with more can't be read to the end: nothing is bought. */
export const bundlePagesMax = 3;

/** How Cube behaves in time. Source: protocols/linksfield.md, sections 5.1 and 5.4, unless a line says otherwise. */
export const cubeProfile: ProviderProfile = {
  requestsPerSec: 10,
  connectionsMax: 3,
  requestsPerDay: 5_000,
  // Asynchronous actions usually take seconds, "sometimes tens of minutes"; the hour is an assumption above that.
  lateCommit: minutes(60),
  // 99 % of calls end within 4 seconds.
  callTimeout: seconds(20),
  clockSkew: minutes(10),
};

/** SIMs in one renew order; no limit is documented (section 5.4). Reasons for the figure as for CSSS. */
export const cubeSimsPerCall = 20;
