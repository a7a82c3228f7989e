/* json.h - a strict reader of JSON text (RFC 8259), for the configuration inside parity files. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>

typedef enum { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } json_type;
typedef struct json json;
struct json {
	json_type type;
	double number; /* of a number; 0 or 1 of a boolean */
	char *string;  /* UTF-8 */
	int n;	       /* items of an array, members of an object */
	json *item;
	char **key;
	bool read; /* asked for by its key */
};

/* NULL with the reason and its place in why if text is not one JSON value. */
json *json_parse(const char *text, char why[160]);
void json_free(json *j);

/* Members of an object; absent, or of another type: NULL or the value given.  o may be NULL. */
const json *json_get(const json *o, const char *key);
double json_number(const json *o, const char *key, double otherwise);
const char *json_string(const json *o, const char *key, const char *otherwise);
bool json_true(const json *o, const char *key);

/* Calls see for every member that nothing asked for, but for null, prose (text with spaces) and empty objects. */
void json_unread(const json *j, void (*see)(void *user, const char *key), void *user);

#endif
