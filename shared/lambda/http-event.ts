import { z } from 'zod';

/** One look at each value: zod's record runs two schemas per header, which took most of the time of an event. */
const headers = z.custom<Readonly<Record<string, string>>>(areTexts, 'headers must be an object of texts');

function areTexts(value: unknown): boolean {
  if (!isObject(value)) return false;
  for (const name in value) if (typeof value[name] !== 'string') return false;
  return true;
}

function isObject(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null;
}

/**
 * What API Gateway hands over for one HTTP request (HTTP API, payload format 2.0), as far as simhook reads it.
 * Header names are lower case; repeated headers are joined with commas by the gateway.
 * Source: API Gateway developer guide, "Create AWS Lambda proxy integrations for HTTP APIs".
 */
export const httpLambdaEventSchema = z.object({
  version: z.literal('2.0'),
  rawPath: z.string(),
  headers: headers.default({}),
  body: z.string().optional(),
  isBase64Encoded: z.boolean().default(false),
  requestContext: z.object({
    requestId: z.string(),
    http: z.object({ method: z.string() }),
  }),
});
export type HttpLambdaEvent = z.infer<typeof httpLambdaEventSchema>;

/** What the function answers. Same source. */
export interface HttpLambdaResult {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The request's body as the bytes that were sent. */
export function bodyBytes(event: HttpLambdaEvent): Uint8Array {
  return Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8');
}
