/* SPDX-License-Identifier: GPL-2.0 */
/* The commands about what moves by itself: policy, heat. */
#ifndef POLICY_H
#define POLICY_H

#include "rows.h"

enum rxectl_exit policy_rows(const struct args *args, struct json_object *rows);
void policy_show(const struct args *args, struct json_object *rows);

enum rxectl_exit heat_rows(const struct args *args, struct json_object *rows);
void heat_show(const struct args *args, struct json_object *rows);

#endif
