# Runs in the image's root after the packages were installed.
# The server's own data directory goes: an empty volume is filled at first start.
rm -rf /var/lib/mysql
install -d -o mysql -g mysql -m 0755 /var/lib/mysql
ln -sf /usr/sbin/mariadbd /usr/local/bin/mysqld
cat >/etc/mysql/mariadb.conf.d/90-container.cnf <<CNF
[mysqld]
bind-address = *
skip-name-resolve
skip-host-cache
innodb_buffer_pool_size = 64M
CNF
