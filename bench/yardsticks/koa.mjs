/** A bare Koa route that answers every request with the same body: what HTTP alone costs on this machine. */
import { createServer } from 'node:http';
import Router from '@koa/router';
import Koa from 'koa';

const [status = '200', body = '{}'] = process.argv.slice(2);
const router = new Router();
router.post('/run/:funcName', (ctx) => {
  ctx.status = Number(status);
  ctx.type = 'application/json';
  ctx.body = body;
});
const app = new Koa();
app.use(router.routes());
const server = createServer(app.callback());
server.listen(0, '127.0.0.1', () => process.send?.({ port: server.address().port }));
process.on('disconnect', () => process.exit(0));
