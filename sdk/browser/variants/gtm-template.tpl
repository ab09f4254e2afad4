___INFO___

{
  "type": "TAG",
  "id": "cvt_temp_public_id",
  "version": 1,
  "securityGroups": [],
  "displayName": "FunnelWatch",
  "categories": ["ANALYTICS", "CONVERSIONS"],
  "brand": {
    "id": "funnelwatch",
    "displayName": "FunnelWatch"
  },
  "description": "Loads FunnelWatch and forwards GA4 e-commerce events of the data layer. Fire it on all pages and on the e-commerce events.",
  "containerContexts": ["WEB"]
}


___TEMPLATE_PARAMETERS___

[
  {
    "type": "TEXT",
    "name": "writeKey",
    "displayName": "Write key",
    "simpleValueType": true,
    "valueValidators": [{"type": "NON_EMPTY"}]
  },
  {
    "type": "TEXT",
    "name": "host",
    "displayName": "Server, as https://watch.shop.example",
    "simpleValueType": true,
    "valueValidators": [{"type": "REGEX", "args": ["^https://[^/]+$"]}]
  },
  {
    "type": "CHECKBOX",
    "name": "followConsentMode",
    "checkboxText": "Hold events until analytics_storage is granted",
    "simpleValueType": true,
    "defaultValue": true
  },
  {
    "type": "CHECKBOX",
    "name": "testTraffic",
    "checkboxText": "Mark events as test traffic (stored, never counted)",
    "simpleValueType": true
  }
]


___SANDBOXED_JS_FOR_WEB_TEMPLATE___

{{SANDBOXED_JS}}


___WEB_PERMISSIONS___

[
  {
    "instance": {
      "key": {"publicId": "inject_script", "versionId": "1"},
      "param": [
        {"key": "urls", "value": {"type": 2, "listItem": [{"type": 1, "string": "https://*/js/*"}]}}
      ]
    },
    "clientAnnotations": {"isEditedByUser": true},
    "isRequired": true
  },
  {
    "instance": {
      "key": {"publicId": "access_globals", "versionId": "1"},
      "param": [
        {
          "key": "keys",
          "value": {
            "type": 2,
            "listItem": [
              {
                "type": 3,
                "mapKey": [{"type": 1, "string": "key"}, {"type": 1, "string": "read"}, {"type": 1, "string": "write"}, {"type": 1, "string": "execute"}],
                "mapValue": [{"type": 1, "string": "funnelwatch"}, {"type": 8, "boolean": true}, {"type": 8, "boolean": true}, {"type": 8, "boolean": false}]
              },
              {
                "type": 3,
                "mapKey": [{"type": 1, "string": "key"}, {"type": 1, "string": "read"}, {"type": 1, "string": "write"}, {"type": 1, "string": "execute"}],
                "mapValue": [{"type": 1, "string": "funnelwatch.track"}, {"type": 8, "boolean": true}, {"type": 8, "boolean": false}, {"type": 8, "boolean": true}]
              },
              {
                "type": 3,
                "mapKey": [{"type": 1, "string": "key"}, {"type": 1, "string": "read"}, {"type": 1, "string": "write"}, {"type": 1, "string": "execute"}],
                "mapValue": [{"type": 1, "string": "funnelwatch.consent"}, {"type": 8, "boolean": true}, {"type": 8, "boolean": false}, {"type": 8, "boolean": true}]
              }
            ]
          }
        }
      ]
    },
    "clientAnnotations": {"isEditedByUser": true},
    "isRequired": true
  },
  {
    "instance": {
      "key": {"publicId": "read_data_layer", "versionId": "1"},
      "param": [
        {"key": "allowedKeys", "value": {"type": 1, "string": "specific"}},
        {
          "key": "keyPatterns",
          "value": {
            "type": 2,
            "listItem": [
              {"type": 1, "string": "event"},
              {"type": 1, "string": "ecommerce"},
              {"type": 1, "string": "method"},
              {"type": 1, "string": "search_term"}
            ]
          }
        }
      ]
    },
    "clientAnnotations": {"isEditedByUser": true},
    "isRequired": true
  },
  {
    "instance": {
      "key": {"publicId": "access_consent", "versionId": "1"},
      "param": [
        {
          "key": "consentTypes",
          "value": {
            "type": 2,
            "listItem": [
              {
                "type": 3,
                "mapKey": [{"type": 1, "string": "consentType"}, {"type": 1, "string": "read"}, {"type": 1, "string": "write"}],
                "mapValue": [{"type": 1, "string": "analytics_storage"}, {"type": 8, "boolean": true}, {"type": 8, "boolean": false}]
              }
            ]
          }
        }
      ]
    },
    "clientAnnotations": {"isEditedByUser": true},
    "isRequired": true
  }
]


___TESTS___

scenarios: []


___NOTES___

Generated from sdk/browser. The page's content security policy must allow scripts and connections to the server.
