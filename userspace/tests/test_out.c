// SPDX-License-Identifier: GPL-2.0
/* What rxectl prints, and which errors it exits with. */
#include <errno.h>
#include <stdlib.h>

#include "rxectl.h"
#include "out.h"
#include "tap.h"

static const struct out_column columns[] = {
	{ "name", "NAME", OUT_TEXT },
	{ "number", "NUMBER", OUT_NUMBER },
	{ "address", "ADDRESS", OUT_HEX },
	{ "size", "SIZE", OUT_SIZE },
	{ "note", "NOTE", OUT_TEXT },
};

/* The text that a table of these rows makes. */
static char *table(const char *rows)
{
	struct json_object *array = json_tokener_parse(rows);
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	out_table(f, array, columns, 5);
	fclose(f);
	json_object_put(array);
	return text;
}

static void sizes(void)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0 B" }, { 1023, "1023 B" }, { 1024, "1 KiB" },
		{ 4096, "4 KiB" }, { 1536, "1.5 KiB" }, { 1 << 20, "1 MiB" },
		{ 1000000, "976.6 KiB" }, { 3ULL << 30, "3 GiB" },
		{ 1ULL << 60, "1 EiB" }, { UINT64_MAX, "16.0 EiB" },
	};
	char buf[32];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_STR(cases[i].text, out_size(cases[i].bytes, buf, sizeof(buf)));
}

static void tables(void)
{
	char *text = table("[]");

	CHECK_STR("NAME  NUMBER  ADDRESS  SIZE  NOTE\n", text);
	free(text);
	text = table("[{\"name\":\"a longer one\",\"number\":7,\"address\":4096,"
		     "\"size\":4096,\"note\":\"x\"},"
		     "{\"name\":\"b\",\"number\":18446744073709551615}]");
	CHECK_STR("NAME                        NUMBER  ADDRESS   SIZE  NOTE\n"
		  "a longer one                     7   0x1000  4 KiB  x\n"
		  "b             18446744073709551615        -      -  -\n", text);
	free(text);
}

/* Names come from others: what is too long for a cell is cut, not written over. */
static void long_words(void)
{
	char rows[600], *text;

	snprintf(rows, sizeof(rows), "[{\"name\":\"%0500d\"}]", 0);
	text = table(rows);
	CHECK(strlen(text) < 400);
	free(text);
}

static void json(void)
{
	struct json_object *what = json_tokener_parse("[{\"a\":1,\"b\":\"/x\"}]");
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	out_json(f, what, false);
	fclose(f);
	CHECK_STR("[{\"a\":1,\"b\":\"/x\"}]\n", text);
	free(text);
	f = open_memstream(&text, &len);
	out_json(f, what, true);
	fclose(f);
	json_object_put(what);
	what = json_tokener_parse(text);
	CHECK_INT(1, json_object_array_length(what));
	CHECK(strchr(text, '\n') != text + strlen(text) - 1);
	json_object_put(what);
	free(text);
}

static void statuses(void)
{
	CHECK_INT(STATUS_OK, rxectl_status(0));
	CHECK_INT(STATUS_NOT_FOUND, rxectl_status(ENODEV));
	CHECK_INT(STATUS_NOT_FOUND, rxectl_status(ENOENT));
	CHECK_INT(STATUS_NOT_FOUND, rxectl_status(ESRCH));
	CHECK_INT(STATUS_NOT_PERMITTED, rxectl_status(EPERM));
	CHECK_INT(STATUS_NOT_PERMITTED, rxectl_status(EACCES));
	CHECK_INT(STATUS_NOT_SUPPORTED, rxectl_status(EOPNOTSUPP));
	CHECK_INT(STATUS_FAILED, rxectl_status(ERANGE));
}

int main(void)
{
	RUN(sizes);
	RUN(tables);
	RUN(long_words);
	RUN(json);
	RUN(statuses);
	return tap_end();
}
