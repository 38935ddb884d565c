/* SPDX-License-Identifier: GPL-2.0 */
/* A second Soft-RoCE device, over a dummy interface. Needs root. */
#ifndef RV_LINK_H
#define RV_LINK_H

#include <stdbool.h>

/* Make it, and wait until it has its address. False after logging why not. */
bool rv_link_add(const char *name, const char *netdev, const char *address);

/* Remove both, as far as they are there. */
void rv_link_remove(const char *name, const char *netdev);

#endif
