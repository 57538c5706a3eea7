// Prints what the audits of graphql-http say of a server, as JSON: node audit.cjs URL
const { serverAudits } = require("graphql-http");

Promise.all(
  serverAudits({ url: process.argv[2] }).map(async (audit) => {
    const { status, reason } = await audit.fn();
    return { id: audit.id, name: audit.name, status, reason };
  }),
).then((results) => console.log(JSON.stringify(results)));
