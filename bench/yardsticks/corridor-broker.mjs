/**
 * The way of a hot call and nothing else: HTTP by Koa, calls to a worker and outcomes back over ZeroMQ, both in batches,
 * a record in LevelDB before the answer. No owners, no checks, no leases, no retries, no metrics: what is between this
 * and Panal is Panal's own, and what is between this and a bare Koa route is the way itself.
 */
import { createServer } from 'node:http';
import Router from '@koa/router';
import Koa from 'koa';
import { Level } from 'level';
import * as zmq from 'zeromq';
import { Batch } from './batch.mjs';

const [folder] = process.argv.slice(2);
const store = new Level(folder, { valueEncoding: 'buffer' });
await store.open();
const dispatch = new zmq.Router();
const replies = new zmq.Pull();
await dispatch.bind('tcp://127.0.0.1:*');
await replies.bind('tcp://127.0.0.1:*');

const queue = [];
const waiting = new Map();
let lastCallNum = 0;
let worker;
let free = 0;

const calls = new Batch((batch) => dispatch.send([worker, JSON.stringify(batch)]));
const records = new Batch((batch) => store.batch(batch));

function pump() {
  for (; free > 0 && queue.length > 0; free--) calls.add(queue.shift());
}

async function takeOffers() {
  for await (const [identity, offer] of dispatch) {
    worker = identity;
    free += Number(offer);
    process.send({ port: server.address().port });
    pump();
  }
}

async function takeOutcomes() {
  for await (const [batch] of replies) {
    for (const { callNum, result } of JSON.parse(batch)) {
      free++;
      waiting.get(callNum)(result);
      waiting.delete(callNum);
    }
    pump();
  }
}

const router = new Router();
router.post('/run/:funcName', async (ctx) => {
  const chunks = [];
  for await (const chunk of ctx.req) chunks.push(chunk);
  const call = {
    callNum: ++lastCallNum,
    funcName: ctx.params.funcName,
    params: Buffer.concat(chunks).toString(),
  };
  const acceptedAt = Date.now();
  queue.push(call);
  const outcome = new Promise((resolve) => waiting.set(call.callNum, resolve));
  pump();
  const result = await outcome;
  const record = { ...call, status: 'DONE', result, acceptedAt, settledAt: Date.now() };
  await records.add({ type: 'put', key: `call ${call.callNum}`, value: Buffer.from(JSON.stringify(record)) });
  ctx.type = 'application/json';
  ctx.body = result;
});
const server = createServer(new Koa().use(router.routes()).callback());
server.listen(0, '127.0.0.1', () =>
  process.send({ dispatch: dispatch.lastEndpoint, replies: replies.lastEndpoint }),
);
process.on('disconnect', () => process.exit(0));
await Promise.all([takeOffers(), takeOutcomes()]);
