// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "recording.h"

#define FORMAT		1
#define EVERY_MS	1000

#ifndef VERSION
#define VERSION "unknown"
#endif

/* read */

/* Is it an array of objects that each name a device? */
static bool are_rows(struct json_object *rows, bool counters)
{
	struct json_object *row, *member;
	size_t i;

	if (!json_object_is_type(rows, json_type_array))
		return false;
	for (i = 0; i < json_object_array_length(rows); i++) {
		row = json_object_array_get_idx(rows, i);
		if (!json_object_is_type(row, json_type_object) ||
		    !json_object_object_get_ex(row, "device", &member) ||
		    !json_object_is_type(member, json_type_string))
			return false;
		if (counters &&
		    (!json_object_object_get_ex(row, "counters", &member) ||
		     !json_object_is_type(member, json_type_object)))
			return false;
	}
	return true;
}

static bool is_time(struct json_object *time)
{
	return (json_object_is_type(time, json_type_double) ||
		json_object_is_type(time, json_type_int)) &&
	       isfinite(json_object_get_double(time));
}

/* A look takes over what it needs of the line. */
static int take_look(struct recording *r, struct json_object *line)
{
	struct json_object *time, *devices, *counters, *heat;
	struct look *looks;

	if (!json_object_object_get_ex(line, "time", &time) || !is_time(time) ||
	    !json_object_object_get_ex(line, "devices", &devices) ||
	    !are_rows(devices, false) ||
	    !json_object_object_get_ex(line, "counters", &counters) ||
	    !are_rows(counters, true) ||
	    !json_object_object_get_ex(line, "heat", &heat) ||
	    !are_rows(heat, false))
		return -1;
	if (r->num && json_object_get_double(time) <= r->looks[r->num - 1].time)
		return -1;
	looks = realloc(r->looks, (r->num + 1) * sizeof(*looks));
	if (!looks)
		return -1;
	r->looks = looks;
	r->looks[r->num++] = (struct look) {
		.devices = json_object_get(devices),
		.counters = json_object_get(counters),
		.heat = json_object_get(heat),
		.time = json_object_get_double(time),
	};
	return 0;
}

static int take_head(struct recording *r, struct json_object *line, char *error,
		     size_t size)
{
	if (!row_has(line, "recording")) {
		snprintf(error, size, "not a recording");
		return -1;
	}
	if (row_number(line, "recording") != FORMAT) {
		snprintf(error, size, "a recording of another rxectl");
		return -1;
	}
	r->head = json_object_get(line);
	return 0;
}

static int take_line(struct recording *r, struct json_object *line, size_t number,
		     char *error, size_t size)
{
	if (!json_object_is_type(line, json_type_object)) {
		snprintf(error, size, number == 1 ? "not a recording" :
			 "line %zu is no object", number);
		return -1;
	}
	if (number == 1)
		return take_head(r, line, error, size);
	if (take_look(r, line)) {
		snprintf(error, size, "line %zu is no look", number);
		return -1;
	}
	return 0;
}

int recording_read(struct recording *r, FILE *from, char *error, size_t size)
{
	struct json_object *parsed;
	size_t number = 0, room = 0;
	char *line = NULL;
	ssize_t len;
	int ret = 0;

	memset(r, 0, sizeof(*r));
	while (!ret && (len = getline(&line, &room, from)) > 0) {
		parsed = json_tokener_parse(line);
		/* whoever recorded was interrupted */
		if (!parsed && number && line[len - 1] != '\n')
			break;
		ret = take_line(r, parsed, ++number, error, size);
		json_object_put(parsed);
	}
	free(line);
	if (!ret && ferror(from)) {
		snprintf(error, size, "%s", strerror(errno));
		ret = -1;
	}
	if (!ret && r->num < 2) {
		snprintf(error, size, number ? "fewer than two looks" : "empty");
		ret = -1;
	}
	if (ret)
		recording_forget(r);
	return ret;
}

enum rxectl_exit recording_load(struct recording *r, const char *name)
{
	bool given = !strcmp(name, "-");
	FILE *from = given ? stdin : fopen(name, "re");
	char error[80];
	int ret;

	if (!from)
		return rows_failed(name, NULL, errno);
	ret = recording_read(r, from, error, sizeof(error));
	if (!given)
		fclose(from);
	return ret ? rows_failed(name, error, EINVAL) : STATUS_OK;
}

void recording_forget(struct recording *r)
{
	while (r->num)
		look_forget(&r->looks[--r->num]);
	free(r->looks);
	json_object_put(r->head);
	memset(r, 0, sizeof(*r));
}

static bool is_in(struct json_object *names, const char *name)
{
	size_t i;

	for (i = 0; i < json_object_array_length(names); i++)
		if (!strcmp(json_object_get_string(json_object_array_get_idx(names, i)),
			    name))
			return true;
	return false;
}

struct json_object *recording_devices(const struct recording *r)
{
	struct json_object *names = json_object_new_array(), *rows;
	size_t i, k;

	for (i = 0; i < r->num; i++) {
		rows = r->looks[i].devices;
		for (k = 0; k < json_object_array_length(rows); k++) {
			const char *name = row_text(json_object_array_get_idx(rows, k),
						    "device");

			if (!is_in(names, name))
				json_object_array_add(names,
						      json_object_new_string(name));
		}
	}
	return names;
}

/* record */

static void write_line(FILE *to, struct json_object *line)
{
	out_json(to, line, false);
	json_object_put(line);
	fflush(to);
}

void recording_begin(FILE *to)
{
	struct json_object *head = json_object_new_object();
	time_t now = time(NULL);
	struct utsname name;
	struct tm tm;
	char date[32];

	uname(&name);
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &tm));
	row_put(head, "recording", FORMAT);
	row_put_text(head, "rxectl", VERSION);
	row_put_text(head, "kernel", name.release);
	row_put_text(head, "started", date);
	row_put(head, "page_size", sysconf(_SC_PAGESIZE));
	write_line(to, head);
}

void recording_add(FILE *to, const struct look *look, double started)
{
	struct json_object *line = json_object_new_object();
	char time[32];

	snprintf(time, sizeof(time), "%.6f", look->time - started);
	json_object_object_add(line, "time",
			       json_object_new_double_s(look->time - started, time));
	json_object_object_add(line, "devices", json_object_get(look->devices));
	json_object_object_add(line, "counters", json_object_get(look->counters));
	json_object_object_add(line, "heat", json_object_get(look->heat));
	write_line(to, line);
}

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static void sleep_until(double when)
{
	struct timespec t = {
		.tv_sec = when,
		.tv_nsec = (when - floor(when)) * 1e9,
	};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* Looks, until there were as many as wanted or somebody interrupts. */
static enum rxectl_exit record(const struct args *args, FILE *to)
{
	double every = (args->every ? args->every : EVERY_MS) / 1000.0, started = 0;
	enum rxectl_exit status = STATUS_OK;
	struct look look = {};
	uint32_t i;

	recording_begin(to);
	for (i = 0; !ferror(to) && !stopped &&
		    (!args->has_count || i < args->count); i++) {
		if (i)
			sleep_until(started + i * every);
		status = look_take(args, &look);
		if (status)
			break;
		if (!i)
			started = look.time;
		recording_add(to, &look, started);
		look_forget(&look);
	}
	look_forget(&look);
	return status;
}

enum rxectl_exit record_run(const struct args *args)
{
	/* a look that is under way ends as it would have; a sleep ends at once */
	struct sigaction sa = { .sa_handler = stop, .sa_flags = SA_RESTART };
	enum rxectl_exit status, closed;
	FILE *to = rows_open(args->to, &status);

	if (!to)
		return status;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	status = record(args, to);
	closed = rows_close(to, args->to);
	return status ? status : closed;
}
