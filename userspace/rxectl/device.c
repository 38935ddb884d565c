// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "device.h"

#define SYSFS	"/sys/class/infiniband"

static struct ibv_context *open_by_name(const char *name, int *err)
{
	struct ibv_device **list = ibv_get_device_list(NULL), **p;
	struct ibv_context *context = NULL;

	*err = ENODEV;
	if (!list) {
		*err = errno;
		return NULL;
	}
	for (p = list; *p; p++) {
		if (strcmp(ibv_get_device_name(*p), name))
			continue;
		context = ibv_open_device(*p);
		if (!context)
			*err = errno;
		break;
	}
	ibv_free_device_list(list);
	return context;
}

int device_open(struct device *d, const char *name, uint32_t index)
{
	int err;

	memset(d, 0, sizeof(*d));
	d->name = name;
	d->index = index;
	d->context = open_by_name(name, &err);
	if (!d->context)
		return err;
	err = rxedv_query_caps(d->context, &d->caps, sizeof(d->caps));
	if (err)
		device_close(d);
	return err;
}

void device_close(struct device *d)
{
	if (d->context)
		ibv_close_device(d->context);
	d->context = NULL;
}

int device_read(const char *name, const char *file, char *buf, size_t size)
{
	char path[256];
	FILE *f;
	int ret;

	snprintf(path, sizeof(path), SYSFS "/%s/%s", name, file);
	f = fopen(path, "re");
	if (!f)
		return -1;
	ret = fgets(buf, size, f) ? 0 : -1;
	fclose(f);
	if (!ret)
		buf[strcspn(buf, "\n")] = 0;
	return ret;
}

int device_write(const char *name, const char *file, const char *word)
{
	char path[256];
	int err = 0;
	FILE *f;

	snprintf(path, sizeof(path), SYSFS "/%s/%s", name, file);
	f = fopen(path, "r+e");
	if (!f)
		return errno;
	if (fputs(word, f) == EOF)
		err = errno;
	if (fclose(f) && !err)
		err = errno;
	return err;
}

struct json_object *device_memory(const struct device *d)
{
	static const char *const words[] = { "size", "used", "free", "peak" };
	struct json_object *memory = json_object_new_object();
	char file[32], line[64];
	uint64_t n;
	size_t i;

	json_object_object_add(memory, "size",
			       json_object_new_uint64(d->caps.memory_size));
	json_object_object_add(memory, "used",
			       json_object_new_uint64(d->caps.memory_used));
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		snprintf(file, sizeof(file), "hmm/memory_%s", words[i]);
		if (!device_read(d->name, file, line, sizeof(line)) &&
		    sscanf(line, "%" SCNu64, &n) == 1)
			json_object_object_add(memory, words[i],
					       json_object_new_uint64(n));
	}
	return memory;
}

char *device_netdev(const char *name)
{
	char line[64];

	return device_read(name, "parent", line, sizeof(line)) ? NULL :
	       strdup(line);
}
