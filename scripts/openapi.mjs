/** `npm run openapi`: writes `docs/openapi.json` from the routes and schemas of `api/`. */
import { writeFileSync } from 'node:fs';
import { openApiText } from '@panal/api';

const page = new URL('../docs/openapi.json', import.meta.url);
writeFileSync(page, `${JSON.stringify(JSON.parse(openApiText()), undefined, 2)}\n`);
