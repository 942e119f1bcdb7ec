import type { accessLogFields } from '../../infra/aws/access-log.ts';

/**
 * Published on-demand prices in US dollars, US East (N. Virginia), without free tiers. Prices change: look before you
 * rely on them. As known in mid-2025. DynamoDB's were seen on a page again: airbyte.com/data-engineering-resources/
 * dynamodb-pricing, of 2025-07-21. The others' own pages could not be opened when this was written.
 */
export const prices = {
  asOf: '2025-06',
  region: 'us-east-1',
  items: {
    /** Source: Amazon DynamoDB pricing, on-demand capacity, Standard table class. */
    dynamoWriteUnit: 0.625e-6,
    dynamoReadUnit: 0.125e-6,
    /** Source: Amazon SQS pricing, standard queues. */
    sqsRequest: 0.4e-6,
    /** Source: Amazon API Gateway pricing, HTTP APIs, first 300 million, per started 512 KB. */
    httpApiRequest: 1e-6,
    /** Source: AWS Lambda pricing, requests, and duration on Arm. */
    lambdaRequest: 0.2e-6,
    lambdaGbSecondArm: 13.3334e-6,
    /** Source: Amazon CloudWatch pricing, Logs, ingestion of custom logs. */
    logGigabyte: 0.5,
    /** Custom events put on a bus. Source: cloudburn.io/blog/amazon-eventbridge-pricing, of 2026-03-13. */
    eventBridgeEvent: 1e-6,
  },
} as const;

/**
 * Services that take the callbacks in and hand them on: what comes after them (rules, purchases, their proof) is still
 * to be built and paid for. Plans as harvested from the vendors' own pages on 2026-09-20.
 */
export const services = {
  /**
   * 50,000 messages a month are free, further ones cost 0.0001 dollars; Professional adds 490 dollars a month.
   * Source: github.com/api-evangelist/svix, plans/svix-plans-pricing.yml, from www.svix.com/pricing.
   */
  svix: { perMonth: 0, included: 50_000, perMessage: 1e-4 },
  /**
   * Team: 39 dollars a month with 10,000 events. Source: github.com/api-evangelist/hookdeck,
   * plans/hookdeck-plans-pricing.yml, from hookdeck.com/pricing. It does not name the price of further events: 0.33
   * dollars per 100,000 is second-hand, from toolradar.com/tools/hookdeck/pricing as somebody quoted it in 2026.
   */
  hookdeck: { perMonth: 39, included: 10_000, perMessage: 0.33 / 100_000 },
} as const;

/** What can't be counted on one machine, so it is set here and shown with the sum. */
export const assumptions = {
  /** Billed milliseconds of a warm invocation: two AWS calls for receive, three for decide in batches of ten. */
  receiveMs: 15,
  decideMsPerEvent: 15,
  /** One paid call that takes the provider half a second, and ten AWS calls around it. */
  actMs: 600,
  /** What each further purchase of an invocation adds to it: its slot and its claim wait for the ones before it. */
  actMsPerTurn: 35,
  memoryGb: 0.5,
  /** Events and actions that an invocation gets under load: the batch sizes of infra/topology.ts. */
  eventsPerBatch: 10,
  actionsPerBatch: 5,
} as const;

/** What API Gateway writes for one callback, by the fields of infra/aws/access-log.ts. */
export const accessLogSample = {
  requestId: 'JKJaXmPLvHcESHA=',
  time: '01/Jun/2026:12:00:00 +0000',
  ip: '198.51.100.7',
  method: 'POST',
  route: 'ANY /callbacks/eiotclub',
  status: '200',
  responseBytes: '7',
  latencyMs: '21',
  error: '-',
  integrationError: '-',
} as const satisfies Record<keyof typeof accessLogFields, string>;
