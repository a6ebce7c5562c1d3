import {
  bundleRefSchema,
  functionSettingsSchema,
  functionSpecSchema,
  runtimeSpecSchema,
} from '@panal/protocol';
import { z } from 'zod';
import type {
  CallEvent,
  FunctionRecord,
  KeyedCall,
  RuntimeRecord,
  UserRecord,
  VersionRecord,
  VersionSummary,
} from './records.js';

export const runtimeRecordSchema: z.ZodType<RuntimeRecord> = z.object({
  ...runtimeSpecSchema.shape,
  dependencies: z.string().exactOptional(),
  handler: z.string().exactOptional(),
  owner: z.string(),
  createdAt: z.number(),
  updatedAt: z.number(),
});

export const functionRecordSchema: z.ZodType<FunctionRecord> = z.object({
  owner: z.string(),
  name: z.string(),
  activeVersion: z.int(),
  latestVersion: z.int(),
  createdAt: z.number(),
  updatedAt: z.number(),
});

export const versionRecordSchema: z.ZodType<VersionRecord> = z.object({
  spec: functionSpecSchema,
  settings: functionSettingsSchema,
  runtimeOwner: z.string().exactOptional(),
  createdAt: z.number(),
});

export const versionSummarySchema: z.ZodType<VersionSummary> = z.object({
  id: z.string(),
  version: z.int(),
  createdAt: z.number(),
  image: z.string().exactOptional(),
  imageDigest: z.string().exactOptional(),
  code: z
    .object({ runtimeName: z.string(), runtimeOwner: z.string(), bundle: bundleRefSchema })
    .exactOptional(),
});

export const userRecordSchema: z.ZodType<UserRecord> = z.object({
  name: z.string(),
  id: z.string(),
  password: z.object({ N: z.int(), r: z.int(), p: z.int(), salt: z.string(), hash: z.string() }),
  token: z.object({ id: z.string(), issuedAt: z.int(), expiresAt: z.int() }).exactOptional(),
  createdAt: z.number(),
});

export const callNumberSchema = z.int().min(0);

export const keyedCallSchema: z.ZodType<KeyedCall> = z.object({
  callNum: z.int(),
  fingerprint: z.string(),
  acceptedAt: z.number(),
});

export const callEventSchema: z.ZodType<CallEvent> = z.object({
  owner: z.string(),
  callNum: z.int(),
  settledAt: z.number(),
  subscriber: z.string(),
});
