// Shows the OpenAPI document with Swagger UI, which its classic script has put on the window.
(() => {
  const proof = /** @type {HTMLMetaElement | null} */ (document.querySelector('meta[name="csrf-token"]'))?.content ?? '';
  const place = document.getElementById('api-docs');
  /** @type {any} */ (window).SwaggerUIBundle({
    url: place?.dataset['document'],
    domNode: place,
    deepLinking: false, // a link in each heading's button would be out of reach for the keyboard
    defaultModelsExpandDepth: 0,
    /** @param {{ headers: Record<string, string> }} request */
    requestInterceptor: (request) => {
      request.headers['X-CSRF-Token'] = proof;
      return request;
    },
  });
})();
