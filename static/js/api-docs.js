// Shows the OpenAPI document with Swagger UI, which its classic script has put on the window.
(() => {
  const place = document.getElementById('api-docs');
  /** @type {any} */ (window).SwaggerUIBundle({
    url: place?.dataset['document'],
    domNode: place,
    deepLinking: true,
    defaultModelsExpandDepth: 0,
  });
})();
