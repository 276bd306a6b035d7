// Prints a provisioning run as OTLP JSON, to be sent to a server: `node bench/waterfall/otlp.mjs 100000`.

import { provisioning } from "../../tests/page/fixture.mjs";

process.stdout.write(JSON.stringify(provisioning(Number(process.argv[2] ?? 100_000)).trace));
