// Shows the OpenAPI document with Swagger UI, which its classic script has put on the window.
(() => {
  const place = document.getElementById('api-docs');
  /** @type {any} */ (window).SwaggerUIBundle({
    url: place?.dataset['document'],
    domNode: place,
    deepLinking: false, // a link in each heading's button would be out of reach for the keyboard
    defaultModelsExpandDepth: 0,
  });
})();
