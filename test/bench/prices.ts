/**
 * Published on-demand prices in US dollars, US East (N. Virginia), without free tiers. Prices change: look before you
 * rely on them. As known in mid-2025; the pages themselves could not be opened when this was written.
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
  },
} as const;

/** What can't be counted on one machine, so it is set here and shown with the sum. */
export const assumptions = {
  /** Billed milliseconds of a warm invocation: two AWS calls for receive, three for decide in batches of ten. */
  receiveMs: 15,
  decideMsPerEvent: 15,
  /** One paid call that takes the provider half a second, and ten AWS calls around it. */
  actMs: 600,
  memoryGb: 0.5,
  /** Log bytes per invocation: our line, the figures, and Lambda's own three. */
  logBytes: 1_000,
  /** Events that decide gets in one batch under load. */
  eventsPerBatch: 10,
} as const;
